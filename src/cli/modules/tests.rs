use super::*;

fn row(name: &str) -> &'static TypeRow {
    catalogue::find(name).expect("a known type")
}

fn natives() -> impl Iterator<Item = &'static TypeRow> {
    catalogue::all().into_iter().filter(|row| row.entry.is_some())
}

#[test]
fn every_type_has_a_price() {
    for row in natives() {
        assert!(row.entry.map(price_ns) > Some(0.0), "{}", row.panel.name);
    }
}

#[test]
fn a_panel_names_ports_units_ranges_defaults_and_words() {
    let text = as_text(row("vco"), Some(12.34));
    for words in
        ["vco: ", "exact=yes", "price=12.3 ns", "pitch", "out", "freq", " Hz, default", "sine|tri|saw|square"]
    {
        assert!(text.contains(words), "{text} does not name {words:?}");
    }
}

#[test]
fn json_has_what_the_text_has() {
    for row in natives() {
        let json = as_json(row, Some(1.0));
        assert_eq!(json["type"], row.panel.name);
        assert_eq!(json["params"].as_array().unwrap().len(), row.panel.params.len());
        assert_eq!(json["inputs"].as_array().unwrap().len(), row.panel.inputs.len());
        assert_eq!(json["exact"], true);
    }
    assert_eq!(as_json(row("vco"), Some(1.0))["params"][0]["unit"], "Hz");
}

#[test]
fn an_unknown_type_is_a_failure() {
    let args = ModulesArgs { type_name: Some("vcoo".to_owned()), ..ModulesArgs::default() };
    assert_eq!(run(&args).unwrap(), Exit::Failure);
}

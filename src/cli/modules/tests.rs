use super::*;

fn panel(name: &str) -> &'static ModuleType {
    &catalogue::find(name).expect("a known type").1.panel
}

#[test]
fn every_type_has_a_price() {
    for entry in CATALOGUE {
        assert!(price_ns(entry) > 0.0, "{}", entry.panel.name);
    }
}

#[test]
fn a_panel_names_ports_units_ranges_defaults_and_words() {
    let text = as_text(panel("vco"), 12.34);
    for words in
        ["vco: ", "exact=yes", "price=12.3 ns", "pitch", "out", "freq", " Hz, default", "sine|tri|saw|square"]
    {
        assert!(text.contains(words), "{text} does not name {words:?}");
    }
}

#[test]
fn json_has_what_the_text_has() {
    for entry in CATALOGUE {
        let json = as_json(&entry.panel, 1.0);
        assert_eq!(json["type"], entry.panel.name);
        assert_eq!(json["params"].as_array().unwrap().len(), entry.panel.params.len());
        assert_eq!(json["inputs"].as_array().unwrap().len(), entry.panel.inputs.len());
        assert_eq!(json["exact"], true);
    }
    assert_eq!(as_json(panel("vco"), 1.0)["params"][0]["unit"], "Hz");
}

#[test]
fn an_unknown_type_is_a_failure() {
    let args = ModulesArgs { type_name: Some("vcoo".to_owned()), json: false };
    assert_eq!(run(&args).unwrap(), Exit::Failure);
}

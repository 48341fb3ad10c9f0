//! Which kind of worker answers for the name of a module type: what the settings say, else whoever names it exactly, else
//! our own, else the first kind with a pattern for it.

use super::Kind;
use crate::catalogue::{self, NATIVE};
use std::collections::BTreeMap;
use wildmatch::WildMatch;

/// Names of types to names of kinds (`native` for our own), by word of the settings.
pub type Routes = BTreeMap<String, String>;

/// The number of the kind that answers for `type_name`, of those that `offers` says offer it: 0 is our own, the others are
/// `kinds` from 1.
pub fn route(
    kinds: &[Kind],
    routes: &Routes,
    type_name: &str,
    offers: impl Fn(usize) -> bool,
) -> Option<usize> {
    let named = routes.get(type_name).and_then(|wanted| {
        let others = kinds.iter().position(|kind| kind.manifest.name == *wanted).map(|index| index + 1);
        if wanted == "native" { Some(NATIVE) } else { others }
    });
    if named.is_some_and(&offers) {
        return named;
    }
    let says = |is_meant: &dyn Fn(&str) -> bool| {
        let meant = |(_, kind): &(usize, &Kind)| kind.manifest.types.iter().any(|types| is_meant(types));
        let numbered = kinds.iter().enumerate().filter(meant).map(|(index, _)| index + 1);
        numbered.into_iter().find(|kind| offers(*kind))
    };
    says(&|types| types == type_name)
        .or_else(|| offers(NATIVE).then_some(NATIVE))
        .or_else(|| says(&|types| WildMatch::new(types).matches(type_name)))
}

/// Whether the kind of this number, which offers `type_name`, is the one that answers for it.
pub fn answers_for(kinds: &[Kind], routes: &Routes, kind: usize, type_name: &str) -> bool {
    let is_native = catalogue::find(type_name).is_some_and(|row| row.kind == NATIVE);
    route(kinds, routes, type_name, |other| other == kind || (other == NATIVE && is_native)) == Some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::Recipe;
    use crate::kinds::manifest::Manifest;

    fn kind(name: &str, types: &[&str]) -> Kind {
        let text = format!("name = \"{name}\"\ncommand = [\"x\"]\ntypes = {types:?}");
        let manifest: Manifest = toml::from_str(&text).expect("a manifest");
        Kind { manifest, recipe: Recipe::native("x".into()) }
    }

    #[test]
    fn settings_come_first_then_exact_names_then_our_own_then_patterns() {
        let kinds = [kind("python", &["*"]), kind("c", &["ring", "lv2:*"])];
        let routes = Routes::from([("vco".to_owned(), "python".to_owned())]);
        let all = |_: usize| true;
        assert_eq!(route(&kinds, &routes, "ring", all), Some(2), "an exact name");
        assert_eq!(route(&kinds, &routes, "vco", all), Some(1), "the settings say so");
        assert_eq!(route(&kinds, &routes, "vcf", all), Some(NATIVE));
        let foreign = |kind: usize| kind != NATIVE;
        assert_eq!(route(&kinds, &routes, "grain", foreign), Some(1), "the first pattern");
        assert_eq!(route(&kinds, &routes, "lv2:x", |kind| kind == 2), Some(2), "who offers it");
        assert_eq!(
            route(&kinds, &routes, "vco", |kind| kind == NATIVE),
            Some(NATIVE),
            "the other one has no vco"
        );
        assert_eq!(route(&kinds, &routes, "nothing", |_| false), None);
    }
}

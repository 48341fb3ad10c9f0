use proptest::prelude::*;

use super::super::testing::Rig;
use super::*;

#[test]
fn a_chain_built_backwards_is_rendered_forwards() {
    let mut rig = Rig::of(&["out", "vca", "vcf", "vco"]);
    for ends in ["vca1 out1.left", "vcf1 vca1", "vco1 vcf1"] {
        rig.connect(ends).unwrap();
    }
    assert_eq!(rig.order(), ["vco1", "vcf1", "vca1", "out1"]);
}

#[test]
fn two_chains_do_not_mingle() {
    let mut rig = Rig::of(&["vco", "vco", "vcf", "vcf", "vca", "vca"]);
    for ends in ["vco1 vcf1", "vco2 vcf2", "vcf1 vca1", "vcf2 vca2"] {
        rig.connect(ends).unwrap();
    }
    assert_eq!(rig.order(), ["vco1", "vcf1", "vca1", "vco2", "vcf2", "vca2"]);
    assert_eq!(chains(&rig.patch), [vec![1, 3, 5], vec![2, 4, 6]]);
}

#[test]
fn inputs_are_grouped_by_target_and_stay_in_creation_order() {
    let mut rig = Rig::of(&["out", "vco", "vco", "vca"]);
    for ends in ["vco2 out1.left", "vco1 vca1", "vca1 out1.left", "vco1 out1.left"] {
        rig.connect(ends).unwrap();
    }
    let order = order(&rig.patch);
    let position = order.modules.iter().position(|&instance| instance == 1).unwrap();
    let sources: Vec<u32> = order.inputs(position).iter().map(|input| input.connection.source).collect();
    assert_eq!(sources, [3, 4, 2]);
}

#[test]
fn the_newest_cable_of_a_loop_is_late_whatever_the_creation_order_of_the_modules() {
    for types in [["vca", "vcf", "delay"], ["delay", "vcf", "vca"]] {
        let mut rig = Rig::of(&types);
        for ends in ["vcf1 delay1", "delay1 vca1"] {
            assert!(!rig.connect(ends).unwrap().is_feedback);
        }
        assert!(rig.connect("vca1 vcf1").unwrap().is_feedback);
        assert_eq!(rig.order(), ["vcf1", "delay1", "vca1"]);
    }
}

#[test]
fn neighbours_are_what_a_module_reads_and_what_reads_it_without_late_cables() {
    let mut rig = Rig::of(&["vco", "vca", "delay", "out"]);
    for ends in ["vco1 vca1", "vco1 vca1.cv", "vca1 delay1", "delay1 vca1.cv", "delay1 out1"] {
        rig.connect(ends).unwrap();
    }
    assert_eq!(neighbours(&rig.patch, 2), [1, 3]);
    assert_eq!(neighbours(&rig.patch, 3), [2, 4]);
    assert_eq!(chains(&rig.patch), [[1, 2, 3, 4]]);
}

#[test]
fn an_empty_patch_has_an_empty_order() {
    assert_eq!(order(&Patch::default()).modules, [0_u32; 0]);
    assert!(chains(&Patch::default()).is_empty());
}

/// One random edit of a patch of `vca`s, which take cables into three inputs.
#[derive(Debug, Clone)]
enum Edit {
    Create,
    Connect(usize, usize, usize),
    Disconnect(usize),
    Free(usize),
}

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let edit = prop_oneof![
        2 => Just(Edit::Create),
        6 => (0..24_usize, 0..24_usize, 0..3_usize).prop_map(|(from, to, input)| Edit::Connect(from, to, input)),
        2 => (0..64_usize).prop_map(Edit::Disconnect),
        1 => (0..24_usize).prop_map(Edit::Free),
    ];
    proptest::collection::vec(edit, 0..100)
}

fn play(edits: &[Edit]) -> Rig {
    let mut rig = Rig::of(&["vca", "vca", "vca"]);
    for edit in edits {
        let modules = rig.patch.modules();
        let id = |n: usize| modules[n % modules.len()].id.clone();
        match *edit {
            Edit::Connect(from, to, input) if !modules.is_empty() => {
                let ends = format!("{} {}.{}", id(from), id(to), ["in", "cv", "gain"][input]);
                rig.connect(&ends).unwrap();
            }
            Edit::Disconnect(n) if !rig.patch.connections().is_empty() => {
                let cables = rig.patch.connections();
                let (source, target) = rig.patch.ends(&cables[n % cables.len()]).unwrap();
                rig.patch.disconnect(&source, &target).unwrap();
            }
            Edit::Free(n) if modules.len() > 1 => {
                let id = id(n);
                rig.patch.free(&id).unwrap();
            }
            _ => drop(rig.create("vca", None, &[]).unwrap()),
        }
    }
    rig
}

/// The same modules and cables, made in the same order from nothing.
fn rebuilt(patch: &Patch) -> Patch {
    let mut rig = Rig::empty();
    for module in patch.modules() {
        rig.create(module.panel().name, Some(&module.id), &[]).unwrap();
    }
    for cable in patch.connections() {
        let (source, target) = patch.ends(cable).unwrap();
        rig.connect(&format!("{source} {target}")).unwrap();
    }
    rig.patch
}

fn lateness(patch: &Patch) -> Vec<bool> {
    patch.connections().iter().map(|cable| cable.is_feedback).collect()
}

proptest! {
    #[test]
    fn every_cable_that_is_not_late_goes_forward(edits in edits()) {
        let patch = play(&edits).patch;
        let order = order(&patch);
        let rank = |instance| order.modules.iter().position(|&ordered| ordered == instance).unwrap();
        prop_assert_eq!(order.modules.len(), patch.modules().len());
        prop_assert_eq!(order.connections.len(), patch.connections().len());
        for (position, &target) in order.modules.iter().enumerate() {
            for input in order.inputs(position) {
                prop_assert_eq!(input.connection.target, target);
                prop_assert!(input.is_feedback || rank(input.connection.source) < position);
            }
        }
    }

    #[test]
    fn a_late_cable_closes_a_loop_of_older_ones_that_are_not_late(edits in edits()) {
        let patch = play(&edits).patch;
        for (index, cable) in patch.connections().iter().enumerate() {
            let older = Forward::of(&patch, &patch.connections()[..index]);
            let (source, target) = (patch.position(cable.source), patch.position(cable.target));
            prop_assert_eq!(cable.is_feedback, older.reaches(target.unwrap(), source.unwrap()));
        }
    }

    #[test]
    fn lateness_and_order_are_a_function_of_the_patch_alone(edits in edits()) {
        let patch = play(&edits).patch;
        let fresh = rebuilt(&patch);
        prop_assert_eq!(lateness(&patch), lateness(&fresh));
        let ids = |patch: &Patch| -> Vec<String> {
            let order = order(patch).modules;
            order.into_iter().map(|instance| patch.by_instance(instance).unwrap().id.clone()).collect()
        };
        prop_assert_eq!(ids(&patch), ids(&fresh));
    }

    #[test]
    fn a_module_elsewhere_changes_neither_lateness_nor_order(edits in edits()) {
        let mut rig = play(&edits);
        let (late, before) = (lateness(&rig.patch), order(&rig.patch).modules);
        let newcomer = rig.create("vco", None, &[]).unwrap();
        prop_assert_eq!(late, lateness(&rig.patch));
        let after = order(&rig.patch).modules;
        let others: Vec<u32> = after.into_iter().filter(|&instance| instance != newcomer).collect();
        prop_assert_eq!(before, others);
    }

    #[test]
    fn every_module_is_in_one_chain_and_cables_that_are_not_late_stay_inside(edits in edits()) {
        let patch = play(&edits).patch;
        let chains = chains(&patch);
        prop_assert_eq!(chains.iter().map(Vec::len).sum::<usize>(), patch.modules().len());
        for cable in patch.connections().iter().filter(|cable| !cable.is_feedback) {
            let together = |chain: &&Vec<u32>| chain.contains(&cable.source) && chain.contains(&cable.target);
            prop_assert_eq!(chains.iter().filter(together).count(), 1);
        }
    }
}

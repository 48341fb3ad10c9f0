//! `backline man`: the manual page, in roff.

use std::io::Write;

use anyhow::Context;
use clap::CommandFactory;

use super::args::{CommandLine, ManArgs};
use super::exit::Exit;

/// Prints the page of `backline`, or writes the pages of all subcommands to a folder.
pub fn run(args: &ManArgs) -> anyhow::Result<Exit> {
    let command = CommandLine::command();
    if let Some(folder) = &args.dir {
        let written =
            std::fs::create_dir_all(folder).and_then(|()| clap_mangen::generate_to(command, folder));
        written.with_context(|| format!("cannot write manual pages to {}", folder.display()))?;
        return Ok(Exit::Success);
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    std::io::stdout().write_all(&page)?;
    Ok(Exit::Success)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_subcommand_gets_a_page() {
        let folder = tempfile::tempdir().unwrap();
        let pages = folder.path().join("man1");
        run(&ManArgs { dir: Some(pages.clone()) }).unwrap();
        for page in ["backline.1", "backline-run.1", "backline-send.1"] {
            assert!(std::fs::read_to_string(pages.join(page)).unwrap().contains("backline"), "{page}");
        }
    }
}

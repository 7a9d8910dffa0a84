//! Every input of the corpora, and a few that are nothing special, through its target.

use std::path::Path;

use bywash_fuzz::TARGETS;

#[test]
fn the_corpora_hold() {
    for (name, target) in TARGETS {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(name);
        let inputs =
            std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        let mut count = 0;
        for input in inputs {
            let path = input.expect("an entry").path();
            println!("{}", path.display());
            target(&std::fs::read(&path).expect("an input"));
            count += 1;
        }
        assert!(count > 0, "{name} has no corpus");
        for len in 0..100_u8 {
            target(&(0..len).map(|i| i.wrapping_mul(len)).collect::<Vec<_>>());
        }
    }
}

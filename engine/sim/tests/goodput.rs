//! What a bulk transfer gets out of a path: near what the document says, and near what theory says.

use bywash_core::tcp::congestion::CongestionControl;
use bywash_sim::goodput::{Path, measure, table};

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/goodput.md");

/// The rows of a table as numbers; what is none is left out.
fn rows(text: &str) -> Vec<Vec<f64>> {
    let cells =
        |line: &str| line.split('|').filter_map(|cell| cell.trim().parse().ok()).collect::<Vec<f64>>();
    text.lines().filter(|line| line.starts_with('|')).map(cells).filter(|row| row.len() >= 6).collect()
}

/// Another recovery moves a transfer's losses to other places: what stays is the rate, within a sixth.
#[test]
fn the_table_is_the_one_in_the_document() {
    let document = std::fs::read_to_string(DOCUMENT).expect("docs/goodput.md");
    let now = table().expect("engines");
    let (then, measured) = (rows(&document), rows(&now));
    assert_eq!(then.len(), measured.len(), "`sim --goodput` says something else now:\n{now}");
    for (then, now_row) in then.iter().zip(&measured) {
        let is_near = |(a, b): (&f64, &f64)| (a - b).abs() <= a / 6.0 + 0.3;
        assert!(
            then.iter().zip(now_row).all(is_near),
            "{then:?} has become\n{now_row:?}; all of it now:\n{now}"
        );
    }
}

/// What was measured over what theory says.
fn ratio(algorithm: CongestionControl, path: Path) -> f64 {
    let theory = path.by_theory(algorithm).expect("losses");
    assert!(theory < path.capacity() / 2.0, "the losses alone limit it");
    measure(algorithm, path, 7).expect("engines") / theory
}

#[test]
fn losses_limit_as_theory_says() {
    for (algorithm, rtt_ms, lost_of) in [
        (CongestionControl::Reno, 50, 1_000),
        (CongestionControl::Reno, 100, 100),
        (CongestionControl::Cubic, 50, 1_000),
        (CongestionControl::Cubic, 100, 10_000),
    ] {
        let ratio = ratio(algorithm, Path { mbits: 50, rtt_ms, lost_of });
        assert!((0.5..1.6).contains(&ratio), "{algorithm} {rtt_ms} ms, 1 of {lost_of}: {ratio:.2}");
    }
}

#[test]
fn a_clean_path_is_filled() {
    for algorithm in CongestionControl::ALL {
        let path = Path { mbits: 50, rtt_ms: 50, lost_of: 0 };
        let share = measure(algorithm, path, 1).expect("engines") / path.capacity();
        assert!(share > 0.9, "{algorithm}: {share:.2} of the capacity");
    }
}

//! Losses: by themselves, and in bursts (Gilbert 1960, Elliott 1963).

use bywash_core::base::random::Random;

use super::Fault;

/// A link that is good or bad, and loses frames in both states. Chances are in millionths, for each frame.
#[derive(Clone, Copy, Debug, Default)]
pub struct LossConfig {
    /// A good link turns bad.
    pub to_bad: u64,
    /// A bad link turns good.
    pub to_good: u64,
    /// A frame is lost on a good link.
    pub good: u64,
    /// A frame is lost on a bad link.
    pub bad: u64,
}

/// In which state a link is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Good,
    Bad,
}

/// The state of one link.
#[derive(Debug)]
pub struct Loss {
    config: LossConfig,
    state: State,
}

impl Loss {
    /// A good link.
    pub fn new(config: LossConfig) -> Self {
        Self { config, state: State::Good }
    }

    /// Whether the next frame is lost, and how.
    pub fn draw(&mut self, random: &mut Random) -> Option<Fault> {
        let LossConfig { to_bad, to_good, good, bad } = self.config;
        let (turn, lost, fault) = match self.state {
            State::Good => (to_bad, good, Fault::Loss),
            State::Bad => (to_good, bad, Fault::Burst),
        };
        if random.chance_in(turn, 1_000_000) {
            self.state = match self.state {
                State::Good => State::Bad,
                State::Bad => State::Good,
            };
        }
        random.chance_in(lost, 1_000_000).then_some(fault)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_come_as_often_and_as_close_together_as_asked() {
        let config = LossConfig { to_bad: 10_000, to_good: 100_000, good: 0, bad: 500_000 };
        let (mut loss, mut random) = (Loss::new(config), Random::from_seed(1));
        let lost: Vec<_> = (0..200_000).map(|_| loss.draw(&mut random).is_some()).collect();
        let total = lost.iter().filter(|lost| **lost).count();
        // Bad for 1/11 of the time, and half of that is lost.
        assert!((8_000..10_200).contains(&total), "{total}");
        let pairs = lost.windows(2).filter(|pair| pair[0] && pair[1]).count();
        // After a loss the next is lost almost every other time, not one in twenty times.
        assert!(pairs * 10 > total * 4, "{pairs} of {total}");
    }
}

//! What can happen in a simulated life, and lives as text: one line for the world, one for each thing that happens.

use std::fmt;
use std::str::FromStr;

use crate::rng::Rng;

/// A whole life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) pods: usize,
    pub(crate) architects: usize,
    pub(crate) actions: Vec<Action>,
}

/// Something that can happen. Whom it is about counts round: there may be fewer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    Edit(usize),
    /// One message of this architect reaches the room.
    ToServer(usize),
    ToClient(usize),
    /// The store does something that this pod has asked for …
    Store(usize, Outcome),
    /// … and one answer of the store reaches this pod.
    Answer(usize),
    /// Milliseconds.
    Wait(u64),
    /// To this pod.
    Connect(usize, usize),
    Cut(usize),
    /// The architect goes on at this pod, and the one before has not noticed yet.
    Roam(usize, usize),
    /// Something that was still on its way on an abandoned socket arrives, or its end.
    Abandoned,
    /// The architect stops reading …
    Stall(usize),
    /// … and reads again.
    Unstall(usize),
    Announce(usize),
    /// The next word of the bus for this pod.
    Word(usize, Fate),
    /// This pod does not reach the bus …
    Away(usize),
    /// … and reaches it again.
    Back(usize),
    /// This pod looks how far the log goes …
    Look(usize),
    /// … and hears what it saw.
    Seen(usize),
    /// kill -9 of a pod …
    Kill(usize),
    /// … after so many more effects.
    Fuse(usize, usize),
    /// A write that everybody took for failed reaches the log.
    Zombie,
    /// The log is folded into a snapshot, whatever the rooms are doing.
    Fold,
    /// A program asks this pod for an edit over HTTP.
    Ask(usize),
    /// Somebody who may edit sends something evil to this pod.
    Attack(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    Failed,
    /// Done, and the answer is lost.
    Lost,
    /// Failed, as far as anybody can tell, and done later.
    Late,
}

/// What the bus does with a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Arrives,
    Lost,
    /// It arrives, and later once more.
    Twice,
    /// What came after it arrives before it.
    Late,
}

impl Plan {
    pub(crate) fn of_seed(seed: u64) -> Self {
        let mut rng = Rng::new(!seed);
        let (pods, architects) = (1 + rng.below(3), 2 + rng.below(5));
        let steps = 300 + rng.below(1_200);
        let actions = (0..steps).map(|_| Action::random(&mut rng)).collect();
        Self { seed, pods, architects, actions }
    }
}

impl Action {
    /// What happens how often in a seeded life.
    pub(crate) fn random(rng: &mut Rng) -> Self {
        let (who, pod) = (rng.below(64), rng.below(6));
        match rng.below(128) {
            0..16 => Self::Edit(who),
            16..19 => Self::Ask(pod),
            37..53 => Self::ToClient(who),
            53..69 => Self::Store(pod, Outcome::random(rng)),
            69..82 => Self::Answer(pod),
            82..96 if rng.one_in(24) => Self::Wait(1 + rng.below(6_000) as u64),
            82..96 => Self::Wait(1 + rng.below(20) as u64),
            96..100 => Self::Connect(who, pod),
            100 | 101 => Self::Cut(who),
            102 => Self::Roam(who, pod),
            103 => Self::Abandoned,
            104 => Self::Stall(who),
            105 => Self::Unstall(who),
            106 => Self::Announce(who),
            107..121 => Self::Word(pod, Fate::random(rng)),
            121 if rng.one_in(4) => Self::Away(pod),
            121 => Self::Back(pod),
            122 => Self::Look(pod),
            123 => Self::Seen(pod),
            124 if rng.one_in(2) => Self::Fold,
            124 => Self::Zombie,
            125 if rng.one_in(4) => Self::Kill(pod),
            125 if rng.one_in(4) => Self::Fuse(pod, rng.below(12)),
            126 if rng.one_in(2) => Self::Attack(pod),
            _ => Self::ToServer(who),
        }
    }

    /// Its name and its numbers.
    fn words(self) -> (&'static str, Vec<u64>) {
        let of = |number: usize| vec![number as u64];
        match self {
            Self::Edit(who) => ("edit", of(who)),
            Self::ToServer(who) => ("to-server", of(who)),
            Self::ToClient(who) => ("to-client", of(who)),
            Self::Store(pod, Outcome::Done) => ("store-does", of(pod)),
            Self::Store(pod, Outcome::Failed) => ("store-fails", of(pod)),
            Self::Store(pod, Outcome::Lost) => ("store-loses-answer", of(pod)),
            Self::Store(pod, Outcome::Late) => ("store-does-later", of(pod)),
            Self::Answer(pod) => ("answer", of(pod)),
            Self::Wait(ms) => ("wait", vec![ms]),
            Self::Connect(who, pod) => ("connect", vec![who as u64, pod as u64]),
            Self::Cut(who) => ("cut", of(who)),
            Self::Roam(who, pod) => ("roam", vec![who as u64, pod as u64]),
            Self::Abandoned => ("abandoned", Vec::new()),
            Self::Stall(who) => ("stall", of(who)),
            Self::Unstall(who) => ("unstall", of(who)),
            Self::Announce(who) => ("announce", of(who)),
            Self::Word(pod, Fate::Arrives) => ("word-arrives", of(pod)),
            Self::Word(pod, Fate::Lost) => ("word-is-lost", of(pod)),
            Self::Word(pod, Fate::Twice) => ("word-doubles", of(pod)),
            Self::Word(pod, Fate::Late) => ("word-is-late", of(pod)),
            Self::Away(pod) => ("bus-away", of(pod)),
            Self::Back(pod) => ("bus-back", of(pod)),
            Self::Look(pod) => ("look", of(pod)),
            Self::Seen(pod) => ("seen", of(pod)),
            Self::Kill(pod) => ("kill", of(pod)),
            Self::Fuse(pod, effects) => ("fuse", vec![pod as u64, effects as u64]),
            Self::Zombie => ("zombie", Vec::new()),
            Self::Fold => ("fold", Vec::new()),
            Self::Ask(pod) => ("ask", of(pod)),
            Self::Attack(pod) => ("attack", of(pod)),
        }
    }

    fn of_words(name: &str, numbers: &[u64]) -> Option<Self> {
        let small = |at: usize| numbers.get(at).and_then(|number| usize::try_from(*number).ok());
        let (one, two) = (small(0), small(1));
        Some(match name {
            "edit" => Self::Edit(one?),
            "to-server" => Self::ToServer(one?),
            "to-client" => Self::ToClient(one?),
            "store-does" => Self::Store(one?, Outcome::Done),
            "store-fails" => Self::Store(one?, Outcome::Failed),
            "store-loses-answer" => Self::Store(one?, Outcome::Lost),
            "store-does-later" => Self::Store(one?, Outcome::Late),
            "answer" => Self::Answer(one?),
            "wait" => Self::Wait(*numbers.first()?),
            "connect" => Self::Connect(one?, two?),
            "cut" => Self::Cut(one?),
            "roam" => Self::Roam(one?, two?),
            "abandoned" => Self::Abandoned,
            "stall" => Self::Stall(one?),
            "unstall" => Self::Unstall(one?),
            "announce" => Self::Announce(one?),
            "word-arrives" => Self::Word(one?, Fate::Arrives),
            "word-is-lost" => Self::Word(one?, Fate::Lost),
            "word-doubles" => Self::Word(one?, Fate::Twice),
            "word-is-late" => Self::Word(one?, Fate::Late),
            "bus-away" => Self::Away(one?),
            "bus-back" => Self::Back(one?),
            "look" => Self::Look(one?),
            "seen" => Self::Seen(one?),
            "kill" => Self::Kill(one?),
            "fuse" => Self::Fuse(one?, two?),
            "zombie" => Self::Zombie,
            "fold" => Self::Fold,
            "ask" => Self::Ask(one?),
            "attack" => Self::Attack(one?),
            _ => return None,
        })
    }
}

impl Outcome {
    fn random(rng: &mut Rng) -> Self {
        match rng.below(12) {
            0 => Self::Failed,
            1 => Self::Lost,
            2 if rng.one_in(2) => Self::Late,
            _ => Self::Done,
        }
    }
}

impl Fate {
    fn random(rng: &mut Rng) -> Self {
        match rng.below(16) {
            0 => Self::Lost,
            1 => Self::Twice,
            2 | 3 => Self::Late,
            _ => Self::Arrives,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "world {} {} {}", self.seed, self.pods, self.architects)?;
        for action in &self.actions {
            let (name, numbers) = action.words();
            f.write_str(name)?;
            numbers.iter().try_for_each(|number| write!(f, " {number}"))?;
            f.write_str("\n")?;
        }
        Ok(())
    }
}

impl FromStr for Plan {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut plan = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let wrong = || format!("not understood: {line}");
            let mut words = line.split_whitespace();
            let name = words.next().ok_or_else(wrong)?;
            let numbers = words.map(str::parse).collect::<Result<Vec<u64>, _>>().map_err(|_| wrong())?;
            match (&mut plan, name, &numbers[..]) {
                (None, "world", [seed, pods, architects]) => {
                    let small = |number: &u64| usize::try_from(*number).map_err(|_| wrong());
                    let (pods, architects) = (small(pods)?.max(1), small(architects)?.max(1));
                    plan = Some(Self { seed: *seed, pods, architects, actions: Vec::new() });
                }
                (Some(plan), name, numbers) => {
                    plan.actions.push(Action::of_words(name, numbers).ok_or_else(wrong)?);
                }
                _ => return Err(wrong()),
            }
        }
        plan.ok_or_else(|| "a plan begins with a world".to_owned())
    }
}

#[test]
fn a_plan_is_read_as_it_was_written() {
    for seed in 0..20 {
        let plan = Plan::of_seed(seed);
        assert_eq!(plan.to_string().parse(), Ok(plan));
    }
    assert!("world 1 2 3\nfly 4".parse::<Plan>().is_err());
    assert!("edit 1".parse::<Plan>().is_err());
}

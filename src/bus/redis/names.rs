//! What channels are called: `{prefix}:design:{id}` and `{prefix}:pods`.

use atlas_crdt::ids::DesignId;

/// What a channel is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Topic {
    Design(DesignId),
    /// Every pod hears it.
    Pods,
}

const DESIGN: &str = ":design:";
const PODS: &str = ":pods";

#[derive(Debug, Clone)]
pub(super) struct Names {
    pub(super) prefix: String,
}

impl Names {
    pub(super) fn of(&self, topic: Topic) -> String {
        match topic {
            Topic::Design(design) => format!("{}{DESIGN}{design}", self.prefix),
            Topic::Pods => format!("{}{PODS}", self.prefix),
        }
    }

    /// `None`: none of ours.
    pub(super) fn topic(&self, name: &str) -> Option<Topic> {
        let rest = name.strip_prefix(&self.prefix)?;
        if rest == PODS {
            return Some(Topic::Pods);
        }
        rest.strip_prefix(DESIGN)?.parse().ok().map(Topic::Design)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_what_it_is_the_name_of() {
        let names = Names { prefix: "atlas:a".into() };
        for topic in [Topic::Pods, Topic::Design(DesignId::from_u128(7))] {
            assert_eq!(names.topic(&names.of(topic)), Some(topic));
        }
        assert_eq!(names.of(Topic::Pods), "atlas:a:pods");
        for other in ["", "atlas:a", "atlas:pods", "atlas:a:podss", "atlas:a:design:7", "batlas:a:pods"] {
            assert_eq!(names.topic(other), None, "{other}");
        }
    }
}

//! Where a fault test plays.

use atlas_loadtest::world::{self, Random};

use super::crew::Promised;
use super::{Bed, Crew};
use crate::support::{Person, Server};

pub(crate) struct Stage {
    pub(crate) bed: Bed,
    pub(crate) server: Server,
    /// The first owns every design, the second edits along.
    pub(crate) people: [Person; 2],
    pub(crate) random: Random,
}

impl Stage {
    pub(crate) async fn set(bed: Bed) -> Self {
        Self::set_with(bed, &[]).await
    }

    pub(crate) async fn set_with(bed: Bed, settings: &[(&str, &str)]) -> Self {
        let of_bed = bed.settings();
        let mut all: Vec<(&str, &str)> =
            of_bed.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        all.extend(settings);
        let server = Server::start_with(&all);
        Self::with(bed, server).await
    }

    pub(crate) async fn with(bed: Bed, server: Server) -> Self {
        let seed = world::seed();
        println!("seed {seed} (repeat with ATLAS_SEED={seed})");
        let people = [server.register("ann@example.com").await, server.register("ben@example.com").await];
        Self { bed, server, people, random: Random::seeded(seed) }
    }

    pub(crate) fn owner(&self) -> &Person {
        &self.people[0]
    }

    /// Each design as it lies in the store has all that was promised, and a whole log. Edits that were checked.
    pub(crate) async fn check_found(&self, crew: &Crew, promised: &Promised) -> u64 {
        let mut edits = 0;
        for desk in &crew.desks {
            let found = self.bed.found(&self.server, &desk.design).await;
            found.check();
            edits += Crew::check(desk, &found.document(), promised);
        }
        edits
    }

    /// The same of what the server exports.
    pub(crate) async fn check_exported(&self, crew: &Crew, promised: &Promised) -> u64 {
        let mut edits = 0;
        for desk in &crew.desks {
            edits += Crew::check(desk, &self.owner().snapshot(&desk.design).await, promised);
        }
        edits
    }

    /// A crew that types already.
    pub(crate) async fn crew(&mut self, desks: usize, typists: usize) -> Crew {
        let mut crew = Crew::gather(&self.server, &self.people, desks, typists).await;
        crew.start_typing(&mut self.random);
        crew
    }

    /// Stops the server and has everything checked that is stored, the contents of blobs included.
    pub(crate) fn check_everything(&mut self) {
        let code = tokio::task::block_in_place(|| self.server.stop());
        assert_eq!(code, Some(0), "it stopped with something left to do");
        let checked = tokio::task::block_in_place(|| self.server.run(&["fsck", "--deep"]));
        let told = String::from_utf8_lossy(&checked.stdout).into_owned();
        let problems = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(0), "fsck found something: {told}{problems}");
        println!("fsck: {}", told.trim().lines().last().unwrap_or_default());
    }

    /// The log of each design as it lies in the store is whole.
    pub(crate) async fn check_logs(&self, crew: &Crew) {
        for desk in &crew.desks {
            self.bed.found(&self.server, &desk.design).await.check();
        }
    }
}

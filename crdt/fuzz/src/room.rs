//! Whole lives of a room, as a plan made out of the fuzzer's bytes.
//!
//! `world` carries out what the room wants, with a `log` as the judge; `words` are what other pods say; `people` are those
//! who connect: honest ones with a Yjs document of their own, and hostile ones with whatever bytes the plan holds.

mod log;
mod people;
mod words;
mod world;

use arbitrary::{Result, Unstructured};

use world::World;

/// Inputs in one life. More would teach nothing that these do not.
const STEPS_MAX: usize = 96;

pub fn run(data: &[u8]) {
    let mut u = Unstructured::new(data);
    let mut world = World::new();
    // A plan that ends early is a short life.
    let _ = plan(&mut world, &mut u);
    world.settle();
}

fn plan(world: &mut World, u: &mut Unstructured<'_>) -> Result<()> {
    for _ in 0..STEPS_MAX {
        if u.is_empty() {
            break;
        }
        world.step(u)?;
    }
    Ok(())
}

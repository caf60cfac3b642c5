//! The operations of a service of which two generations cannot run at once.

use super::operations::{Builder, Stock};
use crate::{
    engine::Replica,
    plan::{Operation, What},
    project::Service,
};

/// How such a service is replaced.
#[derive(Clone, Copy, Debug)]
pub struct Alone {
    /// Connections wait meanwhile.
    pub holds: bool,
    /// Compose puts the new container in the place of the old one, which is gone then.
    pub by_compose: bool,
    /// What runs now can be deployed again.
    pub can_undo: bool,
}

/// In each batch the old ones stop, and are kept until the new ones serve.
pub fn alone(service: &Service, stock: Stock, reason: &str, how: Alone) -> Vec<Operation> {
    let mut builder = Builder::new(service, stock, reason);
    if how.by_compose {
        builder.batch = 1;
        builder.recreate(how);
        return builder.operations;
    }
    builder.clear();
    builder.pre_start();
    let batches = builder.batch_sizes();
    for (index, size) in batches.iter().enumerate() {
        builder.batch = index as u32 + 1;
        builder.swap(*size, index + 1 == batches.len(), how.holds);
    }
    builder.batch = 0;
    builder.remove();
    builder.operations
}

impl Builder<'_> {
    fn swap(&mut self, size: usize, last: bool, holds: bool) {
        self.delay();
        self.gate(0);
        let going = if last { self.all_old() } else { self.make_room(size) };
        // Else those that stay serve meanwhile.
        let holds = holds && size > 0 && !going.is_empty();
        if size > 0 {
            let scale = self.scale(size + going.len());
            self.push(
                What::Create { count: size as u32, scale },
                "it starts as soon as the old one has ended",
            );
        }
        if holds {
            self.hold(&going);
        }
        self.retire(going, 0);
        self.start_created(size);
        if holds {
            self.release();
        }
    }

    /// Compose stops, removes and starts. Where the old ones are stopped before, as connections wait, they can be started
    /// again until then.
    fn recreate(&mut self, Alone { holds, can_undo, .. }: Alone) {
        let mut old = self.all_old();
        // Compose recreates the current ones with the others, or takes them for a surplus.
        old.append(&mut self.stock.current);
        if holds {
            self.hold(&old);
            self.retire(old.clone(), 0);
        }
        self.push(What::Recreate { old, can_undo }, self.reason);
        self.push(What::Gate { also: vec![] }, "the new version must serve");
        if holds {
            self.release();
        }
    }

    fn hold(&mut self, old: &[Replica]) {
        let containers = old.to_vec();
        self.push(What::Hold { containers }, "nobody is refused between the stop and the start");
    }

    fn release(&mut self) {
        self.push(What::Release, "the new version serves");
    }
}

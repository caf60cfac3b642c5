//! A container as it is handed from the plan to whoever acts on it.

use std::{fmt, ops::Deref, sync::Arc};

use serde::{Serialize, Serializer};

use super::{Container, ContainerRef};

/// A container with all that is known of it when the plan is made, so that nobody need look it up again.
#[derive(Clone, Debug)]
pub struct Replica(Arc<Container>);

impl From<&Container> for Replica {
    fn from(container: &Container) -> Replica {
        Replica(Arc::new(container.clone()))
    }
}

impl Deref for Replica {
    type Target = Container;

    fn deref(&self) -> &Container {
        &self.0
    }
}

impl PartialEq for Replica {
    fn eq(&self, other: &Replica) -> bool {
        self.id == other.id
    }
}

impl fmt::Display for Replica {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Serialize for Replica {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        self.reference().serialize(s)
    }
}

pub fn ids(replicas: &[Replica]) -> Vec<String> {
    replicas.iter().map(|replica| replica.id.clone()).collect()
}

pub fn references(replicas: &[Replica]) -> Vec<ContainerRef> {
    replicas.iter().map(|replica| replica.reference()).collect()
}

//! The name of an old container goes to a new one, because others are linked to it.

use super::rollout::{Effect, Rollout};
use crate::{
    engine::{CallError, Replica, ids},
    event::Event,
    execute::Journal,
    plan::{Rename, What},
    stage::Halt,
};

/// It may have been done by half.
#[derive(Clone)]
pub struct Renamed {
    name: String,
    old: Replica,
    new: Replica,
}

impl Rollout<'_> {
    pub(super) fn rename(
        &mut self,
        batch: u32,
        names: &[Rename],
        journal: &mut Journal<Effect>,
    ) -> Result<(), Halt> {
        let mut renamed: Vec<Renamed> = vec![];
        for Rename { name, from, to } in names.iter().filter(|one| self.leaves(batch, &one.from)) {
            let new = self.known_heirs(std::slice::from_ref(to), journal).into_iter().next();
            // One that stands in the place of two has one name.
            let Some(new) = new.filter(|new| renamed.iter().all(|other| other.new != *new)) else { continue };
            renamed.push(Renamed { name: name.clone(), old: from.clone(), new });
        }
        journal.enter(Effect::Rename { renamed: renamed.clone() });
        if self.down_since.is_some() {
            // Should this program end now, whoever has the name is to run.
            let new: Vec<_> = renamed.iter().map(|one| one.new.clone()).collect();
            self.stand_by(&new, &[]);
        }
        for Renamed { name, old, new } in renamed {
            if old.name == name {
                let aside = format!("{}_{name}", old.reference().short_id());
                self.again(|| self.engine().rename(&old.id, &aside))?;
            }
            self.again(|| self.engine().rename(&new.id, &name))?;
            let service = self.plan.service.clone();
            self.reporter().emit(Event::Renamed { service, container: new.reference(), name });
        }
        Ok(())
    }

    /// Not one that stays in the place of a new one that was lost.
    fn leaves(&self, batch: u32, replica: &Replica) -> bool {
        let stopped = self.plan.operations.iter().find_map(|operation| match &operation.what {
            What::Stop { containers } if operation.batch == batch => Some(containers),
            _ => None,
        });
        let stays = |all: &Vec<Replica>| all.contains(replica) && !self.unspared(all).contains(replica);
        !self.spared.kept.contains(replica) && !stopped.is_some_and(stays)
    }

    /// Whatever has the name now, and as far as both are still there.
    pub(super) fn rename_back(&self, renamed: Vec<Renamed>) -> Result<(), CallError> {
        if !self.stopped.is_empty() {
            self.stand_by(&self.stopped, &[]);
        }
        for Renamed { name, old, new } in renamed.into_iter().rev() {
            let now = self.again(|| self.engine().inspect(&ids(&[old.clone(), new.clone()])))?;
            let is_called = |one: &Replica| now.iter().find(|c| c.id == one.id).map(|c| c.name.as_str());
            if is_called(&new) == Some(name.as_str()) {
                self.again(|| self.engine().rename(&new.id, &new.name))?;
            }
            if is_called(&old).is_some_and(|called| called != old.name) {
                self.again(|| self.engine().rename(&old.id, &old.name))?;
            }
        }
        Ok(())
    }
}

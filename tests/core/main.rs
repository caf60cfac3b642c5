//! The pure core: what is wanted, what is there, the verdict of the gate, and the plan.
//!
//! `data/` holds what the engine and Compose really print; `world` carries plans out on simulated containers.

mod drain;
mod hazards;
mod health;
mod make;
mod model;
mod observed;
mod one_shot;
mod plan;
mod project;
mod properties;
mod refusals;
mod resume;
mod settings;
mod values;
mod world;

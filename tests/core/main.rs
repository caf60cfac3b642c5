//! The pure core: what is wanted, what is there, the verdict of the gate, and the plan.
//!
//! `data/` holds what the engine and Compose really print; `world` carries plans out on simulated containers.

mod addresses;
mod bridge;
mod doctor;
mod doctor_machine;
mod drain;
mod executor;
mod hand_over;
mod haproxy;
mod hazards;
mod health;
mod history;
mod hosts;
mod images;
mod init;
mod leaving;
mod links;
mod make;
mod msrv;
mod observed;
mod one_shot;
mod plan;
mod project;
mod properties;
mod refusals;
mod resume;
mod schema;
mod services;
mod settings;
mod status;
mod swarm;
mod swarm_rollout;
mod values;
mod world;

//! The keys of a service.

use super::{
    Fate::{Becomes, Dropped, Form as As, Inside, Noted, Same, Unless},
    Form, REMOVE, Table, no, row,
};

const NOT_IN_SWARM: &str = "Swarm has nothing like it";

pub const SERVICE: Table = Table {
    of: "services.*",
    rows: &[
        row(
            &[
                "cap_add",
                "cap_drop",
                "dns",
                "dns_search",
                "environment",
                "healthcheck",
                "init",
                "isolation",
                "labels",
                "logging",
                "read_only",
                "stdin_open",
                "stop_grace_period",
                "stop_signal",
                "sysctls",
                "tty",
                "ulimits",
                "user",
                "working_dir",
            ],
            Same,
        ),
        row(&["image"], Same),
        row(
            &["command", "entrypoint"],
            Becomes("the same; an empty one, which clears the image's, is refused where Swarm cannot say it"),
        ),
        row(&["hostname"], Same),
        row(&["extra_hosts"], Becomes("the same, as \"name:address\"")),
        row(&["credential_spec"], Inside),
        row(&["credential_spec.file", "credential_spec.registry"], Same),
        no(
            &["credential_spec.config"],
            "a config is named by its content here, and Swarm would not find it",
            "write file or registry",
        ),
        // Order and updates.
        row(
            &["depends_on"],
            Becomes(
                "docker zdd deploys service by service in this order and waits; what has restart: true is not restarted",
            ),
        ),
        row(
            &["links"],
            Becomes(
                "left out: services find each other by name; one with another name is refused, as Swarm has no links",
            ),
        ),
        row(
            &["restart"],
            Becomes(
                "deploy.restart_policy: always and unless-stopped are any, on-failure:3 is on-failure with max_attempts, \"no\" is none; not written is any, as by Swarm's default",
            ),
        ),
        row(&["scale"], Becomes("deploy.replicas")),
        row(
            &["pre_start"],
            Becomes("a service of its own that runs once before the rollout, and is removed"),
        ),
        no(
            &["pre_stop"],
            "nobody can run a command in a container on another node; Swarm takes a container out of DNS 2s before SIGTERM",
            "handle SIGTERM in the program, or write x-zdd: {swarm: {without: [pre_stop]}}",
        ),
        no(
            &["post_start"],
            "nobody can run a command in a container on another node",
            "do it in the image's entrypoint, or write x-zdd: {swarm: {without: [post_start]}}",
        ),
        // Resources.
        row(&["cpus", "mem_limit", "pids_limit"], Becomes("deploy.resources.limits, where that has none")),
        row(&["mem_reservation"], Becomes("deploy.resources.reservations.memory, where that has none")),
        row(&["shm_size", "tmpfs"], Becomes("a mount of the type tmpfs; of its options only size")),
        row(&["platform"], Becomes("placement constraints: node.platform.os and node.platform.arch")),
        no(&["oom_score_adj"], "the Docker CLI drops it without a word (28.2, tried)", REMOVE),
        no(
            &[
                "cpu_count",
                "cpu_percent",
                "cpu_period",
                "cpu_quota",
                "cpu_rt_period",
                "cpu_rt_runtime",
                "cpu_shares",
                "cpuset",
            ],
            NOT_IN_SWARM,
            "write deploy.resources.limits.cpus",
        ),
        no(
            &["mem_swappiness", "memswap_limit", "oom_kill_disable"],
            NOT_IN_SWARM,
            "write deploy.resources.limits.memory",
        ),
        no(&["blkio_config", "storage_opt"], NOT_IN_SWARM, REMOVE),
        no(
            &["devices", "device_cgroup_rules", "gpus"],
            "Swarm gives containers no device",
            "declare a generic resource on the nodes that have it, and write deploy.resources.reservations.generic_resources",
        ),
        // What a container is.
        row(
            &["container_name"],
            Becomes("an alias on the service's networks, with a note: Swarm names containers itself"),
        ),
        no(&["privileged"], "Swarm runs nothing privileged", "write cap_add with what it needs"),
        no(
            &["security_opt"],
            "the Docker CLI hands none to Swarm, and would leave it out with a warning",
            "set it for all containers in the nodes' daemon.json, or write x-zdd: {swarm: {without: [security_opt]}}",
        ),
        no(
            &["pid", "ipc", "uts", "cgroup", "cgroup_parent", "userns_mode"],
            "on Swarm a container has namespaces and a cgroup of its own",
            REMOVE,
        ),
        no(
            &["runtime"],
            NOT_IN_SWARM,
            "set default-runtime in the nodes' daemon.json, and choose them by deploy.placement",
        ),
        no(&["group_add"], NOT_IN_SWARM, "write the group in user, as in \"1000:998\""),
        no(&["dns_opt", "domainname", "mac_address"], NOT_IN_SWARM, REMOVE),
        no(&["external_links"], "Swarm has no links", "put both on an external network that is an overlay"),
        no(
            &["volumes_from"],
            "containers of other services may be on other nodes",
            "name the volume in both services",
        ),
        no(
            &["provider", "models"],
            "Compose alone runs it",
            "leave the service on Compose, in a file of its own",
        ),
        no(&["use_api_socket"], "a container on another node would talk to that node's engine", REMOVE),
        row(&["network_mode"], Becomes("host is the network host of the node; others are refused")),
        // Networks.
        row(&["networks", "networks.*"], Inside),
        row(&["networks.*.aliases", "networks.*.driver_opts"], Same),
        row(
            &["networks.*.priority", "networks.*.gw_priority"],
            Noted("left out, with a note", "Swarm decides which network is the first"),
        ),
        no(
            &["networks.*.ipv4_address", "networks.*.ipv6_address", "networks.*.link_local_ips"],
            "the Docker CLI drops it: on Swarm addresses are given away by the managers",
            "remove it and use the service's name",
        ),
        no(&["networks.*.mac_address", "networks.*.interface_name"], NOT_IN_SWARM, REMOVE),
        row(&["ports"], Inside),
        row(&["ports[].mode", "ports[].protocol"], Same),
        row(&["ports[].target"], As(Form::Number, "a number")),
        row(
            &["ports[].published"],
            As(Form::Port, "a number; a range is refused, as Swarm publishes one port for all replicas"),
        ),
        row(&["ports[].name", "ports[].app_protocol"], Dropped("it only describes")),
        row(
            &["ports[].host_ip"],
            Unless {
                fine: &["0.0.0.0", "::", "[::]"],
                kept: false,
                why: "Swarm publishes a port on all addresses of its nodes",
                instead: "remove the address and close the port in the firewall, or let a proxy on the stack's network reach the service by its name",
            },
        ),
        // Files.
        row(&["volumes"], Inside),
        row(
            &["volumes[].type"],
            Unless {
                fine: &["bind", "volume", "tmpfs", "npipe"],
                kept: true,
                why: "the Docker CLI cannot hand it to Swarm",
                instead: "copy the files into the image, or use a volume",
            },
        ),
        row(&["volumes[].source", "volumes[].target", "volumes[].read_only", "volumes[].consistency"], Same),
        row(&["volumes[].bind", "volumes[].volume", "volumes[].tmpfs"], Inside),
        row(&["volumes[].bind.propagation", "volumes[].volume.nocopy"], Same),
        row(
            &["volumes[].bind.create_host_path"],
            Dropped("the plan says that the folder must be on every node"),
        ),
        // Where it matters the program is refused by its files, and the update is rolled back.
        row(
            &["volumes[].bind.selinux"],
            Noted(
                "left out, with a note",
                "Swarm labels no folder; where SELinux is on, label it on each node",
            ),
        ),
        no(
            &["volumes[].bind.recursive", "volumes[].volume.subpath"],
            "the Docker CLI does not hand it to Swarm",
            "mount the folder itself, with the rights that it needs",
        ),
        no(
            &["volumes[].volume.labels"],
            "the Docker CLI drops it",
            "name the volume, and write its labels under volumes at the top of the file",
        ),
        row(&["volumes[].tmpfs.size"], As(Form::Number, "a number of bytes")),
        no(&["volumes[].tmpfs.mode"], "Swarm ignores it", "set the mode in the program, or remove it"),
        row(&["volumes[].image"], Dropped("its type is refused")),
        row(&["configs", "secrets"], Inside),
        row(
            &[
                "configs[].source",
                "configs[].target",
                "configs[].uid",
                "configs[].gid",
                "secrets[].source",
                "secrets[].target",
                "secrets[].uid",
                "secrets[].gid",
            ],
            Same,
        ),
        row(&["configs[].mode", "secrets[].mode"], As(Form::Octal, "a number")),
        // Deploy.
        row(
            &[
                "deploy",
                "deploy.resources",
                "deploy.resources.limits",
                "deploy.resources.reservations",
                "deploy.placement",
                "deploy.restart_policy",
            ],
            Inside,
        ),
        row(
            &["deploy.mode"],
            Becomes(
                "the same; replicated-job is a plain service that is not started again (moby#53632), global-job is refused",
            ),
        ),
        row(&["deploy.replicas"], Becomes("the same; where nobody writes a count, the present one stays")),
        row(
            &[
                "deploy.labels",
                "deploy.endpoint_mode",
                "deploy.placement.constraints",
                "deploy.placement.preferences",
                "deploy.placement.max_replicas_per_node",
                "deploy.resources.reservations.generic_resources",
            ],
            Same,
        ),
        row(
            &["deploy.update_config", "deploy.rollback_config"],
            Becomes(
                "always written: x-zdd and update_config over start-first, rollback on failure, all at once, monitor 10s",
            ),
        ),
        row(
            &[
                "deploy.resources.limits.cpus",
                "deploy.resources.limits.memory",
                "deploy.resources.reservations.cpus",
                "deploy.resources.reservations.memory",
            ],
            As(Form::Text, "a text"),
        ),
        row(&["deploy.resources.limits.pids"], As(Form::Number, "a number")),
        no(
            &["deploy.resources.reservations.devices"],
            "Swarm gives containers no device",
            "declare a generic resource on the nodes that have it, and write generic_resources",
        ),
        row(
            &[
                "deploy.restart_policy.condition",
                "deploy.restart_policy.delay",
                "deploy.restart_policy.max_attempts",
                "deploy.restart_policy.window",
            ],
            Same,
        ),
        // What Compose has done, or does alone.
        row(
            &["build"],
            Becomes("left out: an image comes from a registry; without image the service is refused"),
        ),
        row(&["profiles", "env_file", "label_file", "extends"], Dropped("Compose has resolved it")),
        row(&["expose"], Dropped("on a network every port is open")),
        row(&["attach", "develop"], Dropped("it is of \"compose up\" and \"compose watch\"")),
        row(
            &["pull_policy", "pull_refresh_after"],
            Dropped("the image is pinned by its digest, and nodes pull what they lack"),
        ),
        row(&["annotations"], Noted("left out, with a note", "Swarm hands none to the containers' runtime")),
    ],
};

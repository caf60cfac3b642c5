//! The override file that `docker zdd init` writes: which service gets what.

use std::collections::BTreeMap;

use insta::assert_snapshot;
use zdd::init::{Draft, Kind, Made, Wish, draft, made, text};

use crate::make::project;

/// Two networks that services may be on, the second one shared with other projects.
const NETWORKS: &str = "networks: {default: {name: app_default}, back: {name: app_back, internal: true}, edge: {name: edge, external: true}}";

fn drafted(services: &str, named: &[&str], proxy: Kind) -> (Draft, Option<String>) {
    let project = project(&format!("services:\n{services}\n{NETWORKS}"));
    let named: Vec<_> = named.iter().map(|name| name.to_string()).collect();
    let anonymous = BTreeMap::from([("nameless".to_owned(), "/data".to_owned())]);
    let draft =
        draft(&Wish { project: &project, named: &named, only_named: false, proxy, anonymous: &anonymous });
    let text = text(&project, &draft, proxy);
    (draft, text)
}

/// The file.
fn file(services: &str, proxy: Kind) -> String {
    drafted(services, &[], proxy).1.expect("a file")
}

/// What is said of each service.
fn said(services: &str, named: &[&str], proxy: Kind) -> String {
    let (draft, _) = drafted(services, named, proxy);
    draft.notes().map(|note| format!("{note}\n")).collect()
}

/// The file from the first service on, up to the proxy.
fn services(services: &str, named: &[&str]) -> String {
    let text = drafted(services, named, Kind::Haproxy).1.expect("a file");
    let body = text.split_once("services:\n").expect("services").1;
    body.split("  zdd-proxy:\n").next().unwrap_or_default().to_owned()
}

/// The service that is put in front.
fn proxy(services: &str) -> String {
    let text = file(services, Kind::Haproxy);
    let (_, proxy) = text.split_once("  zdd-proxy:\n").expect("a proxy");
    proxy.split("configs:\n  zdd-proxy:").next().unwrap_or_default().to_owned()
}

const WEB: &str =
    "  web: {image: web, ports: [{target: 80, published: '8080'}], networks: {default: null}}\n";
const MAIL: &str = "  mail: {image: mail, ports: [{target: 25, published: '25', host_ip: 127.0.0.1}, {target: 587, published: '587'}], networks: {default: null}}\n";

#[test]
fn haproxy_in_front_of_a_port() {
    assert_snapshot!(file(&format!("{WEB}{MAIL}"), Kind::Haproxy), @r#"
    # Written by "docker zdd init --proxy haproxy mail web".
    # Not to be edited: run that again instead. To have things as they were, remove the file.
    # Mark: 13e2c8835f0da2ff
    services:
      mail:
        ports: !reset []
      web:
        ports: !reset []
      zdd-proxy:
        image: ${ZDD_PROXY_IMAGE:-haproxy:3.2.22}
        restart: unless-stopped
        ports:
        - 127.0.0.1:25:25
        - 587:587
        - 8080:8080
        networks:
        - default
        depends_on:
          mail:
            condition: service_started
          web:
            condition: service_started
        configs:
        - source: zdd-proxy
          target: /usr/local/etc/haproxy/haproxy.cfg
        labels:
          io.zdd.init: 7f3d85f4f214ea0d
        healthcheck:
          test:
          - CMD
          - bash
          - -c
          - exec 3<>/dev/tcp/127.0.0.1/8405
          interval: 2s
          timeout: 5s
          retries: 3
          start_period: 10s
    configs:
      zdd-proxy:
        content: |
          global
              log stdout format raw local0 notice
              # Here "docker zdd" asks and drains; it is inside of the container only.
              stats socket /var/lib/haproxy/admin.sock mode 600 level admin

          resolvers docker
              nameserver dns 127.0.0.11:53
              accepted_payload_size 8192
              timeout resolve 500ms
              timeout retry 500ms
              hold valid 500ms

          defaults
              log global
              timeout connect 500ms
              timeout client 1h
              timeout server 1h
              retries 10
              option redispatch 1
              default-server check inter 500ms fall 2 rise 1 observe layer4 error-limit 1 on-error mark-down
              default-server resolvers docker resolve-prefer ipv4 init-addr libc,none

          frontend alive
              mode http
              bind 127.0.0.1:8405
              monitor-uri /

          listen port-25
              bind :25
              mode tcp
              server-template app 10 mail:25

          listen port-587
              bind :587
              mode tcp
              server-template app 10 mail:587

          listen port-8080
              bind :8080
              mode http
              option forwardfor
              option http-server-close
              retry-on conn-failure empty-response
              http-request disable-l7-retry unless { method GET HEAD OPTIONS }
              server-template app 10 web:80
    "#);
}

#[test]
fn traefik_in_front_of_a_port() {
    assert_snapshot!(file(&format!("{WEB}{MAIL}"), Kind::Traefik), @r#"
    # Written by "docker zdd init --proxy traefik mail web".
    # Not to be edited: run that again instead. To have things as they were, remove the file.
    # Mark: f4ccbed07bf97364
    services:
      mail:
        ports: !reset []
      web:
        ports: !reset []
      zdd-proxy:
        image: ${ZDD_PROXY_IMAGE:-traefik:v3.7.13}
        command:
        - --global.checknewversion=false
        - --providers.file.filename=/etc/traefik/fronts.yaml
        - --entrypoints.alive.address=127.0.0.1:8082
        - --ping.entrypoint=alive
        - --entrypoints.port-25.address=:25
        - --entrypoints.port-587.address=:587
        - --entrypoints.port-8080.address=:8080
        - --entrypoints.port-8080.forwardedheaders.trustedips=127.0.0.0/8,10.0.0.0/8,172.16.0.0/12,192.168.0.0/16
        - --entrypoints.port-8080.transport.respondingtimeouts.readtimeout=0
        restart: unless-stopped
        ports:
        - 127.0.0.1:25:25
        - 587:587
        - 8080:8080
        networks:
        - default
        depends_on:
          mail:
            condition: service_started
          web:
            condition: service_started
        configs:
        - source: zdd-proxy
          target: /etc/traefik/fronts.yaml
        labels:
          io.zdd.init: d55face55c71d502
        healthcheck:
          test:
          - CMD
          - traefik
          - healthcheck
          - --ping=true
          - --entrypoints.alive.address=127.0.0.1:8082
          - --ping.entrypoint=alive
          interval: 2s
          timeout: 5s
          retries: 3
          start_period: 10s
    configs:
      zdd-proxy:
        content: |
          http:
            middlewares:
              again:
                retry:
                  attempts: 10
                  initialInterval: 50ms
            routers:
              port-8080:
                entryPoints:
                - port-8080
                middlewares:
                - again
                rule: PathPrefix(`/`)
                service: port-8080
            serversTransports:
              app:
                forwardingTimeouts:
                  dialTimeout: 500ms
                maxIdleConnsPerHost: -1
            services:
              port-8080:
                loadBalancer:
                  servers:
                  - url: http://web:80
                  serversTransport: app
          tcp:
            routers:
              port-25:
                entryPoints:
                - port-25
                rule: HostSNI(`*`)
                service: port-25
              port-587:
                entryPoints:
                - port-587
                rule: HostSNI(`*`)
                service: port-587
            serversTransports:
              app:
                dialTimeout: 500ms
            services:
              port-25:
                loadBalancer:
                  servers:
                  - address: mail:25
                  serversTransport: app
              port-587:
                loadBalancer:
                  servers:
                  - address: mail:587
                  serversTransport: app
    "#);
}

/// It passes no other protocol on, so only one of the two can have it.
#[test]
fn caddy_in_front_of_a_port() {
    let both = format!("{WEB}{MAIL}");
    assert_snapshot!(file(&both, Kind::Caddy), @r#"
    # Written by "docker zdd init --proxy caddy web".
    # Not to be edited: run that again instead. To have things as they were, remove the file.
    # Mark: 14e53c7bbabe3e80
    services:
      web:
        ports: !reset []
      zdd-proxy:
        image: ${ZDD_PROXY_IMAGE:-caddy:2.11.4}
        restart: unless-stopped
        ports:
        - 8080:8080
        networks:
        - default
        depends_on:
          web:
            condition: service_started
        configs:
        - source: zdd-proxy
          target: /etc/caddy/Caddyfile
        labels:
          io.zdd.init: c9fdab261f3fb23b
        healthcheck:
          test:
          - CMD
          - wget
          - -q
          - -O
          - /dev/null
          - http://127.0.0.1:2019/config/
          interval: 2s
          timeout: 5s
          retries: 3
          start_period: 10s
    configs:
      zdd-proxy:
        content: |
          {
              auto_https off
              persist_config off
              servers {
                  trusted_proxies static private_ranges
              }
          }

          :8080 {
              reverse_proxy {
                  dynamic a web 80 {
                      refresh 500ms
                      versions ipv4
                  }
                  lb_policy round_robin
                  lb_try_duration 10s
                  lb_try_interval 50ms
                  fail_duration 500ms
                  transport http {
                      dial_timeout 500ms
                      keepalive off
                  }
              }
          }
    "#);
    assert_snapshot!(said(&both, &[], Kind::Caddy), @"
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    mail: it stays held: Caddy passes HTTP only, and nobody knows that port 25 is that; take HAProxy or Traefik
    ");
}

#[test]
fn what_is_said_of_each() {
    let all = format!(
        "{WEB}{MAIL}
  name: {{image: app, container_name: old, networks: {{default: null}}}}
  rolled: {{image: app}}
  written: {{image: app, container_name: w, x-zdd: {{strategy: recreate}}}}
  volume: {{image: files, volumes: [{{type: volume, source: data, target: /data}}], ports: [{{target: 80, published: '81'}}], networks: {{default: null}}}}
  both: {{image: app, volumes: [{{type: volume, source: data, target: /data}}], container_name: b, networks: {{default: null}}, x-zdd: {{strategy: rolling}}}}
  nameless: {{image: app, ports: [{{target: 80, published: '82'}}], networks: {{default: null}}}}
  dns: {{image: app, ports: [{{target: 53, published: '53', protocol: udp}}], networks: {{default: null}}}}
  range: {{image: app, ports: [{{target: 80, published: 9000-9000}}], networks: {{default: null}}}}
  host: {{image: app, network_mode: host}}
  bridge: {{image: app, network_mode: bridge, ports: [{{target: 80, published: '83'}}]}}
  beat: {{image: app, command: [celery, beat]}}
  edge: {{image: 'traefik:v3', ports: [{{target: 80, published: '80'}}], networks: {{default: null}}}}
  owner: {{image: app, container_name: owned, networks: {{default: null}}}}
  sharer: {{image: app, pid: 'container:owned'}}
  db: {{image: 'postgres:16', container_name: db, networks: {{default: null}}}}
  job: {{image: app, container_name: once, restart: 'no', networks: {{default: null}}}}"
    );
    assert_snapshot!(said(&all, &[], Kind::Haproxy), @r#"
    both: "b" becomes a name on its networks
    mail: a proxy takes over 127.0.0.1:25 and passes it on to its port 25, as it comes, and the visitor's address is lost; a proxy takes over 587 and passes it on to its port 587, as it comes, and the visitor's address is lost
    name: "old" becomes a name on its networks
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    beat: it stays held: it is a scheduler ("beat"), and two would do everything twice; write "x-zdd: {strategy: rolling}" if two may run at once
    bridge: it stays held: a proxy would find it by its name, and on network_mode bridge there are none
    db: it is PostgreSQL, and is not replaced before you agree; "docker zdd init db" writes that
    dns: it stays held: host port 53 is UDP, which no proxy takes over
    edge: it is a proxy itself, and behind another one it would not see its visitors' addresses
    host: it still needs your consent: on the host's network both generations want the same ports; use a bridge network and publish the port by a proxy
    nameless: it stays held: the volume at /data has no name, and belongs to one container; give the volume a name, and write "x-zdd: {strategy: rolling}" if two may write at once
    owner: it still needs your consent: "sharer" lives in its container (pid); give each service its own namespace, on one network
    range: it stays held: 9000-9000 is a range of host ports
    sharer: it still needs your consent: it lives in a container of "owner" (pid); give each service its own namespace, on one network
    volume: it stays held: its only replica writes to volume "data" at /data, and two generations would write at once; write "x-zdd: {strategy: rolling}" if two may write at once
    "#);
    assert_snapshot!(said(&all, &["rolled", "written", "edge", "job", "db"], Kind::Haproxy), @r#"
    both: "b" becomes a name on its networks
    db: it gets a healthcheck by its image's own tool; you agree that it is replaced: new connections wait, those that it has end
    edge: a proxy takes over 80 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    mail: a proxy takes over 127.0.0.1:25 and passes it on to its port 25, as it comes, and the visitor's address is lost; a proxy takes over 587 and passes it on to its port 587, as it comes, and the visitor's address is lost
    name: "old" becomes a name on its networks
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    beat: it stays held: it is a scheduler ("beat"), and two would do everything twice; write "x-zdd: {strategy: rolling}" if two may run at once
    bridge: it stays held: a proxy would find it by its name, and on network_mode bridge there are none
    dns: it stays held: host port 53 is UDP, which no proxy takes over
    host: it still needs your consent: on the host's network both generations want the same ports; use a bridge network and publish the port by a proxy
    job: it does not serve, so there is nothing to roll
    nameless: it stays held: the volume at /data has no name, and belongs to one container; give the volume a name, and write "x-zdd: {strategy: rolling}" if two may write at once
    owner: it still needs your consent: "sharer" lives in its container (pid); give each service its own namespace, on one network
    range: it stays held: 9000-9000 is a range of host ports
    rolled: it is rolled as it is
    sharer: it still needs your consent: it lives in a container of "owner" (pid); give each service its own namespace, on one network
    volume: it stays held: its only replica writes to volume "data" at /data, and two generations would write at once; write "x-zdd: {strategy: rolling}" if two may write at once
    written: x-zdd says how it is replaced, and that stays
    "#);
}

#[test]
fn a_name_becomes_an_alias() {
    let two =
        "  web: {image: web, container_name: old, networks: {default: null, back: {aliases: [shop]}}}\n";
    assert_snapshot!(services(two, &[]), @"
    web:
      container_name: !reset null
      networks:
        back:
          aliases:
          - old
        default:
          aliases:
          - old
    ");
    // The name of a service is known anyway.
    let same = "  web: {image: web, container_name: web, networks: {default: null}}\n";
    assert_snapshot!(services(same, &[]), @"
    web:
      container_name: !reset null
    ");
}

/// A port that the engine picks, and a range that is wide enough.
#[test]
fn ports_that_hinder_nothing_stay() {
    let web = "  web: {image: web, ports: [{target: 81}, {target: 80, published: '8080'}, {target: 82, published: 9000-9010}], networks: {default: null}}\n";
    assert_snapshot!(services(web, &[]), @"
    web:
      ports: !override
      - target: 81
      - published: 9000-9010
        target: 82
    ");
}

#[test]
fn one_who_agrees_is_held() {
    let db = "  db: {image: 'postgres:16', volumes: [{type: volume, source: data, target: /var/lib/postgresql/data}], ports: [{target: 5432, published: '5432'}], networks: {default: null}, x-zdd: {hold: 5m}}\n";
    assert!(drafted(db, &[], Kind::Haproxy).1.is_none());
    assert_snapshot!(services(db, &["db"]), @r#"
    db:
      healthcheck:
        test:
        - CMD-SHELL
        - pg_isready -h 127.0.0.1 -U "$${POSTGRES_USER:-postgres}"
        interval: 2s
        timeout: 5s
        retries: 3
        start_period: 30s
      x-zdd:
        hold: 5m
        strategy: held
    "#);
}

#[test]
fn where_other_projects_are_too_a_name_of_its_own() {
    let web = "  web: {image: web, ports: [{target: 80, published: '8080'}], networks: {edge: null}}\n";
    assert_snapshot!(services(web, &[]), @"
    web:
      ports: !reset []
      networks:
        edge:
          aliases:
          - ${COMPOSE_PROJECT_NAME}-web
    ");
    assert!(file(web, Kind::Haproxy).contains("server-template app 10 ${COMPOSE_PROJECT_NAME}-web:80\n"));
    // Not where there is a network that is not shared, and not on one from where no port can be published.
    let more = "  web: {image: web, ports: [{target: 80, published: '8080'}], networks: {edge: null, back: null, default: null}}\n";
    assert!(proxy(more).contains("networks:\n    - default\n"), "{}", proxy(more));
    assert!(file(more, Kind::Haproxy).contains("server-template app 10 web:80\n"));
}

/// On two addresses of the machine the same port may mean two services.
#[test]
fn each_port_has_a_place_of_its_own_in_the_proxy() {
    let of = |name: &str, address: &str, port: u32| {
        format!(
            "  {name}: {{image: web, ports: [{{target: 80, published: '{port}', host_ip: '{address}'}}], networks: {{default: null}}}}\n"
        )
    };
    let all = [of("a", "127.0.0.1", 80), of("b", "::1", 80), of("c", "", 8405)].concat();
    let proxy = proxy(&all);
    let ports = proxy.split("ports:\n").nth(1).and_then(|rest| rest.split("    networks").next());
    assert_snapshot!(ports.unwrap_or_default(), @"
    - 127.0.0.1:80:80
    - '[::1]:80:81'
    - 8405:8406
    ");
}

#[test]
fn it_is_in_the_profiles_of_those_behind_it() {
    let of = |name: &str, port: u32, profiles: &str| {
        format!(
            "  {name}: {{image: web, profiles: [{profiles}], ports: [{{target: 80, published: '{port}'}}], networks: {{default: null}}}}\n"
        )
    };
    let lines = |services: &str| {
        let proxy = proxy(services);
        let part = proxy.split("    depends_on:\n").nth(1).and_then(|rest| rest.split("    configs").next());
        part.unwrap_or_default().to_owned()
    };
    assert_snapshot!(lines(&(of("a", 81, "x") + &of("b", 82, "x"))), @"
      a:
        condition: service_started
      b:
        condition: service_started
    profiles:
    - x
    ");
    assert_snapshot!(lines(&(of("a", 81, "x") + &of("b", 82, ""))), @"
    a:
      condition: service_started
      required: false
    b:
      condition: service_started
    ");
}

#[test]
fn http_is_what_is_known_to_be_http() {
    let is_http = |lines: &str, target: u32, more: &str| {
        let web = format!(
            "  web: {{image: web, {lines}ports: [{{target: {target}, published: '9999'{more}}}], networks: {{default: null}}}}\n"
        );
        let (draft, _) = drafted(&web, &[], Kind::Haproxy);
        draft.fronts().next().expect("a front").http
    };
    let check = |test: &str| format!("healthcheck: {{test: {test}}}, ");
    for (lines, target, more, expected) in [
        (String::new(), 80, "", true),
        (String::new(), 443, "", false),
        (String::new(), 9000, "", false),
        (String::new(), 9000, ", app_protocol: http", true),
        (String::new(), 80, ", app_protocol: grpc", false),
        (check("[CMD, curl, -f, 'http://localhost:9000/health']"), 9000, "", true),
        (check("[CMD-SHELL, 'wget -q http://127.0.0.1:9000 || exit 1']"), 9000, "", true),
        (check("[CMD, curl, 'http://localhost:90001/']"), 9000, "", false),
        (check("[CMD, curl, 'http://localhost/']"), 9000, "", false),
        (check("[CMD, curl, 'https://localhost:9000/']"), 9000, "", false),
    ] {
        assert_eq!(is_http(&lines, target, more), expected, "{lines}{target}{more}");
    }
}

#[test]
fn a_second_proxy_gets_another_name() {
    let other = "  zdd-proxy: {image: app}\n";
    assert!(file(&format!("{WEB}{other}"), Kind::Haproxy).contains("\n  zdd-proxy-2:\n"));
}

#[test]
fn what_was_written_is_known_again() {
    let written = file(&format!("{WEB}{MAIL}"), Kind::Traefik);
    let services = vec!["mail".to_owned(), "web".to_owned()];
    assert_eq!(
        made(&written),
        Some(Made { proxy: Kind::Traefik, services: services.clone(), edited: false })
    );
    let edited = written.replace("unless-stopped", "always");
    assert_eq!(made(&edited), Some(Made { proxy: Kind::Traefik, services, edited: true }));
    for theirs in ["", "services: {}\n", "# Written by hand\n", &written.replacen("traefik", "squid", 1)] {
        assert_eq!(made(theirs), None, "{theirs}");
    }
    assert!(made(written.lines().next().unwrap()).is_none());
}

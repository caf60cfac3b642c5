//! `docker zdd init`: what is shown, what is asked, what is written and what is not.

use std::fs;

use insta::assert_snapshot;

use crate::{
    files::project,
    scenario::{Host, Scenario},
};

fn shop() -> Scenario {
    let web = "image: web:1\nports: [{target: 80, published: '8080'}]\nnetworks: {default: null}";
    let api = "image: api:1\ncontainer_name: old\nnetworks: {default: null}";
    let files = "image: files:1\nvolumes: [{type: volume, source: data, target: /data}]";
    let db = "image: postgres:16\nvolumes: [{type: volume, source: data, target: /var/lib/postgresql/data}]";
    Scenario::new(&project(&[("web", web), ("api", api), ("files", files), ("db", db)]))
}

fn written(host: &Host, name: &str) -> String {
    fs::read_to_string(host.path("project").join(name)).unwrap_or_else(|_| "nothing".to_owned())
}

#[test]
fn shows_the_file() {
    let host = shop().host();
    assert_snapshot!(host.run(&["init", "--stdout"]), @r#"
    exit code: 0
    --- stdout
    # Written by "docker zdd init --proxy haproxy api web".
    # Not to be edited: run that again instead. To have things as they were, remove the file.
    # Mark: 43395e0b356b8fc3
    services:
      api:
        container_name: !reset null
        networks:
          default:
            aliases:
            - old
      web:
        ports: !reset []
      zdd-proxy:
        image: ${ZDD_PROXY_IMAGE:-haproxy:3.2.22}
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
          target: /usr/local/etc/haproxy/haproxy.cfg
        labels:
          io.zdd.init: efd1a0296a4746ea
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

          listen port-8080
              bind :8080
              mode http
              option forwardfor
              option http-server-close
              retry-on conn-failure empty-response
              http-request disable-l7-retry unless { method GET HEAD OPTIONS }
              server-template app 10 web:80
    --- stderr
    api: "old" becomes a name on its networks
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    db: it is PostgreSQL, and is not replaced before you agree; "docker zdd init db" writes that
    files: it stays held: its only replica writes to volume "data" at /data, and two generations would write at once; write "x-zdd: {strategy: rolling}" if two may write at once
    --- calls
    docker compose config
    docker ps
    --- containers
    at least: 0 of api, 0 of db, 0 of files, 0 of web
    "#);
    assert_eq!(written(&host, "compose.override.yaml"), "nothing");
    assert_eq!(host.run(&["--dry-run", "init"]).stdout, host.run(&["init", "--stdout"]).stdout);
}

#[test]
fn writes_nothing_that_nobody_agreed_to() {
    let host = shop().host();
    let output = host.run(&["init", "web"]);
    assert_snapshot!(output.stderr, @r#"
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    compose.override.yaml was not written, as nobody is there to be asked
    hint: agree with "docker zdd init --yes"
    "#);
    assert!(output.stdout.contains("ports: !reset []"), "{output}");
    assert_eq!((output.exit.code(), written(&host, "compose.override.yaml").as_str()), (Some(1), "nothing"));
}

/// Services are added, and the proxy stays, until somebody says otherwise.
#[test]
fn writes_it_and_is_done() {
    let host = shop().host();
    assert_snapshot!(host.run(&["init", "--yes", "--proxy", "caddy", "web"]).stderr, @r#"
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    compose.override.yaml written; "docker zdd plan" shows what follows from it
    "#);
    let first = written(&host, "compose.override.yaml");
    assert!(first.starts_with("# Written by \"docker zdd init --proxy caddy web\".\n"), "{first}");

    let again = host.run(&["init", "web"]);
    assert_snapshot!(again, @"
    exit code: 0
    --- stderr
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    compose.override.yaml is as it should be; nothing was written
    --- calls
    docker compose --file compose.yaml config
    docker ps
    --- containers
    at least: 0 of api, 0 of db, 0 of files, 0 of web
    ");
    let head = |args: &[&str]| host.run(args).stdout.lines().next().unwrap_or_default().to_owned();
    let written_by = |services: &str| format!("# Written by \"docker zdd init --proxy caddy {services}\".");
    assert_eq!(head(&["init", "--yes", "db"]), written_by("db web"));
    assert_eq!(head(&["init", "--yes"]), written_by("api db web"));
    let again = host.run(&["init", "--yes"]);
    assert_eq!((again.exit.code(), again.stdout.as_str()), (Some(0), ""), "{again}");
}

#[test]
fn leaves_what_is_somebody_else_s() {
    let host = shop().host();
    let put = |name: &str, text: &str| fs::write(host.path("project").join(name), text).unwrap();
    put("compose.override.yaml", "services: {}\n");
    assert_snapshot!(host.run(&["init", "--yes"]).stderr, @r#"
    compose.override.yaml is there already, and "docker zdd init" did not write it; it stays as it is
    hint: choose another file with --output, or look at it with --stdout
    "#);
    assert_eq!(written(&host, "compose.override.yaml"), "services: {}\n");
    assert!(host.run(&["init", "--stdout"]).exit.success());

    fs::remove_file(host.path("project/compose.override.yaml")).unwrap();
    put("docker-compose.override.yml", "services: {}\n");
    assert_snapshot!(host.run(&["init", "--yes"]).stderr, @"
    docker-compose.override.yml is there already, and Compose reads only one override file by itself
    hint: choose another file with --output, or look at it with --stdout
    ");
    assert_snapshot!(host.run(&["init", "--yes", "--output", "compose.zdd.yaml"]).stderr, @r#"
    api: "old" becomes a name on its networks
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    db: it is PostgreSQL, and is not replaced before you agree; "docker zdd init db" writes that
    files: it stays held: its only replica writes to volume "data" at /data, and two generations would write at once; write "x-zdd: {strategy: rolling}" if two may write at once
    compose.zdd.yaml written; Compose reads it only when it is named: set COMPOSE_FILE=compose.yaml:docker-compose.override.yml:compose.zdd.yaml, or write "docker zdd -f compose.yaml -f docker-compose.override.yml -f compose.zdd.yaml up"
    "#);
    assert!(written(&host, "compose.zdd.yaml").contains("ports: !reset []"));

    put("compose.zdd.yaml", &(written(&host, "compose.zdd.yaml") + "# and mine\n"));
    assert_snapshot!(host.run(&["init", "--yes", "-o", "compose.zdd.yaml"]).stderr, @r#"
    compose.zdd.yaml was edited since "docker zdd init" wrote it; it stays as it is
    hint: choose another file with --output, or look at it with --stdout
    "#);
}

#[test]
fn says_what_to_write_where_files_are_named() {
    let host = shop().host();
    assert_snapshot!(host.run(&["-f", "compose.yaml", "init", "--yes", "web"]).stderr, @r#"
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    compose.override.yaml written; Compose reads it only when it is named: set COMPOSE_FILE=compose.yaml:compose.override.yaml, or write "docker zdd -f compose.yaml -f compose.override.yaml up"
    "#);
    let both = ["-f", "compose.yaml", "-f", "compose.override.yaml", "init"];
    let output = host.run(&both);
    assert_snapshot!(output, @r#"
    exit code: 1
    --- stdout
    # Written by "docker zdd init --proxy haproxy api web".
    # Not to be edited: run that again instead. To have things as they were, remove the file.
    # Mark: 43395e0b356b8fc3
    services:
      api:
        container_name: !reset null
        networks:
          default:
            aliases:
            - old
      web:
        ports: !reset []
      zdd-proxy:
        image: ${ZDD_PROXY_IMAGE:-haproxy:3.2.22}
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
          target: /usr/local/etc/haproxy/haproxy.cfg
        labels:
          io.zdd.init: efd1a0296a4746ea
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

          listen port-8080
              bind :8080
              mode http
              option forwardfor
              option http-server-close
              retry-on conn-failure empty-response
              http-request disable-l7-retry unless { method GET HEAD OPTIONS }
              server-template app 10 web:80
    --- stderr
    api: "old" becomes a name on its networks
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    db: it is PostgreSQL, and is not replaced before you agree; "docker zdd init db" writes that
    files: it stays held: its only replica writes to volume "data" at /data, and two generations would write at once; write "x-zdd: {strategy: rolling}" if two may write at once
    compose.override.yaml was not written, as nobody is there to be asked
    hint: agree with "docker zdd init --yes"
    --- calls
    docker compose --file compose.yaml config
    docker ps
    --- containers
    at least: 0 of api, 0 of db, 0 of files, 0 of web
    "#);
    let host = shop().env("COMPOSE_FILE", "compose.yaml:more.yaml").host();
    assert_snapshot!(host.run(&["init", "--yes", "web"]).stderr, @r#"
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    compose.override.yaml written; Compose reads it only when it is named: set COMPOSE_FILE=compose.yaml:more.yaml:compose.override.yaml, or write "docker zdd -f compose.yaml -f more.yaml -f compose.override.yaml up"
    "#);
    let host = shop().host();
    fs::write(host.path("project/.env"), "COMPOSE_FILE=\"compose.yaml\"\n").unwrap();
    assert_snapshot!(host.run(&["init", "--yes", "web"]).stderr, @r#"
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    compose.override.yaml written; Compose reads it only when it is named: set COMPOSE_FILE=compose.yaml:compose.override.yaml, or write "docker zdd -f compose.yaml -f compose.override.yaml up"
    "#);
}

#[test]
fn has_a_sentence_for_what_cannot_be() {
    let host = shop().host();
    let said = |args: &[&str]| {
        let output = host.run(args);
        format!("exit {}\n{}{}", output.exit.code().unwrap_or(-1), output.stdout, output.stderr)
    };
    assert_snapshot!(said(&["init", "wbe"]), @r#"
    exit 1
    no such service: wbe; did you mean "web"?
    "#);
    assert_snapshot!(said(&["init", "--proxy", "squid"]), @r#"
    exit 1
    invalid argument "squid" for "--proxy" flag: use one of haproxy, traefik, caddy
    See 'docker zdd init --help'
    "#);
    assert_snapshot!(said(&["init", "--yes", "files"]), @r#"
    exit 0
    files: it stays held: its only replica writes to volume "data" at /data, and two generations would write at once; write "x-zdd: {strategy: rolling}" if two may write at once
    there is nothing to write
    "#);
    assert_snapshot!(said(&["init", "--yes", "--output", "no/such/folder.yaml"]), @r#"
    exit 1
    # Written by "docker zdd init --proxy haproxy api web".
    # Not to be edited: run that again instead. To have things as they were, remove the file.
    # Mark: 43395e0b356b8fc3
    services:
      api:
        container_name: !reset null
        networks:
          default:
            aliases:
            - old
      web:
        ports: !reset []
      zdd-proxy:
        image: ${ZDD_PROXY_IMAGE:-haproxy:3.2.22}
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
          target: /usr/local/etc/haproxy/haproxy.cfg
        labels:
          io.zdd.init: efd1a0296a4746ea
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

          listen port-8080
              bind :8080
              mode http
              option forwardfor
              option http-server-close
              retry-on conn-failure empty-response
              http-request disable-l7-retry unless { method GET HEAD OPTIONS }
              server-template app 10 web:80
    api: "old" becomes a name on its networks
    web: a proxy takes over 8080 and passes it on to its port 80, as HTTP, with the visitor's address in X-Forwarded-For
    db: it is PostgreSQL, and is not replaced before you agree; "docker zdd init db" writes that
    files: it stays held: its only replica writes to volume "data" at /data, and two generations would write at once; write "x-zdd: {strategy: rolling}" if two may write at once
    cannot write no/such/folder.yaml: No such file or directory (os error 2)
    "#);
    let piped = shop().stdin("services: {web: {image: web}}").run(&["-f", "-", "init", "--yes"]);
    assert_snapshot!(piped.stderr, @"
    the compose file comes from a pipe, so there is no place beside it
    hint: choose another file with --output, or look at it with --stdout
    ");
}

/// What containers have is known to the engine only, and without one the files decide.
#[test]
fn works_without_an_engine() {
    let output = shop().engine_is_dead().run(&["init", "--stdout"]);
    assert!(output.exit.success(), "{output}");
    assert_eq!(output.stdout, shop().run(&["init", "--stdout"]).stdout);
}

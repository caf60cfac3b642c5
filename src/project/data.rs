//! What keeps data that must not be written by two: databases, brokers, caches. Known by what is written of them.

use crate::{engine::config::Service, text::image_name};

/// The last part of an image's name, and what it is. Names that go on after a dash or an underscore count too.
const IMAGES: &[(&str, &str)] = &[
    ("postgres", "PostgreSQL"),
    ("postgresql", "PostgreSQL"),
    ("postgis", "PostgreSQL"),
    ("pgvector", "PostgreSQL"),
    ("timescaledb", "PostgreSQL"),
    ("timescale", "PostgreSQL"),
    ("mysql", "MySQL"),
    ("mariadb", "MariaDB"),
    ("percona", "MySQL"),
    ("mongo", "MongoDB"),
    ("mongodb", "MongoDB"),
    ("redis", "Redis"),
    ("valkey", "Valkey"),
    ("keydb", "KeyDB"),
    ("dragonfly", "Dragonfly"),
    ("memcached", "Memcached"),
    ("rabbitmq", "RabbitMQ"),
    ("kafka", "Kafka"),
    ("redpanda", "Redpanda"),
    ("zookeeper", "ZooKeeper"),
    ("nats", "NATS"),
    ("mosquitto", "Mosquitto"),
    ("emqx", "EMQX"),
    ("elasticsearch", "Elasticsearch"),
    ("opensearch", "OpenSearch"),
    ("meilisearch", "Meilisearch"),
    ("typesense", "Typesense"),
    ("clickhouse", "ClickHouse"),
    ("cassandra", "Cassandra"),
    ("scylla", "ScyllaDB"),
    ("couchdb", "CouchDB"),
    ("neo4j", "Neo4j"),
    ("influxdb", "InfluxDB"),
    ("cockroach", "CockroachDB"),
    ("etcd", "etcd"),
    ("consul", "Consul"),
    ("vault", "Vault"),
    ("mssql", "SQL Server"),
    ("azure-sql-edge", "SQL Server"),
    ("minio", "MinIO"),
    ("qdrant", "Qdrant"),
    ("weaviate", "Weaviate"),
    ("milvus", "Milvus"),
    ("solr", "Solr"),
    ("oracle", "Oracle"),
    ("couchbase", "Couchbase"),
    ("db2", "Db2"),
    ("surrealdb", "SurrealDB"),
    ("arangodb", "ArangoDB"),
    ("questdb", "QuestDB"),
    ("pulsar", "Pulsar"),
    ("activemq", "ActiveMQ"),
    ("artemis", "ActiveMQ"),
    ("openldap", "OpenLDAP"),
    ("rethinkdb", "RethinkDB"),
    ("dgraph", "Dgraph"),
    ("ferretdb", "FerretDB"),
    ("tidb", "TiDB"),
    ("yugabyte", "YugabyteDB"),
    ("crate", "CrateDB"),
    ("ravendb", "RavenDB"),
    ("aerospike", "Aerospike"),
    ("hazelcast", "Hazelcast"),
    ("victoria-metrics", "VictoriaMetrics"),
    ("chroma", "Chroma"),
    ("manticore", "Manticore"),
    ("seaweedfs", "SeaweedFS"),
    ("garage", "Garage"),
    ("redict", "Redict"),
    ("vernemq", "VerneMQ"),
    ("hivemq", "HiveMQ"),
    ("beanstalkd", "Beanstalk"),
    ("db", "a database"),
];

/// Where well-known ones keep what they have.
const PLACES: &[(&str, &str)] = &[
    ("/var/lib/postgresql", "PostgreSQL"),
    ("/bitnami/postgresql", "PostgreSQL"),
    ("/var/lib/mysql", "MySQL"),
    ("/bitnami/mysql", "MySQL"),
    ("/bitnami/mariadb", "MariaDB"),
    ("/data/db", "MongoDB"),
    ("/bitnami/mongodb", "MongoDB"),
    ("/bitnami/redis", "Redis"),
    ("/var/lib/rabbitmq", "RabbitMQ"),
    ("/var/lib/kafka", "Kafka"),
    ("/bitnami/kafka", "Kafka"),
    ("/var/lib/zookeeper", "ZooKeeper"),
    ("/usr/share/elasticsearch/data", "Elasticsearch"),
    ("/usr/share/opensearch/data", "OpenSearch"),
    ("/var/lib/clickhouse", "ClickHouse"),
    ("/var/lib/cassandra", "Cassandra"),
    ("/var/lib/influxdb", "InfluxDB"),
    ("/opt/couchdb/data", "CouchDB"),
    ("/var/opt/mssql", "SQL Server"),
    ("/opt/oracle/oradata", "Oracle"),
    ("/opt/couchbase/var", "Couchbase"),
    ("/var/lib/ldap", "OpenLDAP"),
];

/// What they listen on.
const PORTS: &[(u32, &str)] = &[
    (5432, "PostgreSQL"),
    (3306, "MySQL"),
    (27017, "MongoDB"),
    (6379, "Redis"),
    (5672, "RabbitMQ"),
    (9092, "Kafka"),
    (2181, "ZooKeeper"),
    (1433, "SQL Server"),
    (9042, "Cassandra"),
    (26257, "CockroachDB"),
    (1521, "Oracle"),
    (61616, "ActiveMQ"),
    (6650, "Pulsar"),
    (389, "OpenLDAP"),
];

/// The database, broker or cache that a service is; `None` for an app.
pub fn keeper_of_data(service: &Service) -> Option<&'static str> {
    let image = service.image.as_deref();
    let of_microsoft = image.is_some_and(|image| image.contains("/mssql/")).then_some("SQL Server");
    let image = of_microsoft.or(image.and_then(by_image));
    let writes = service.volumes.iter().filter(|mount| mount.holds_data());
    let place = || writes.into_iter().find_map(|mount| by_place(&mount.target));
    let published = service.ports.iter().filter_map(|port| port.target);
    let exposed = service.expose.iter().filter_map(|port| port.split('/').next()?.parse().ok());
    let port = || published.chain(exposed).find_map(|port| PORTS.iter().find(|(known, _)| *known == port));
    image.or_else(place).or_else(|| port().map(|(_, name)| *name))
}

fn by_image(image: &str) -> Option<&'static str> {
    let name = image_name(image).to_ascii_lowercase();
    // `postgres-exporter`, `redis-commander`: they look at one.
    let looks_on = [
        "exporter",
        "commander",
        "admin",
        "backup",
        "ui",
        "express",
        "client",
        "insight",
        "dashboards",
        "meta",
    ];
    if name.split(['-', '_']).any(|part| looks_on.contains(&part)) {
        return None;
    }
    let is = |known: &str| {
        name == known || name.strip_prefix(known).is_some_and(|rest| rest.starts_with(['-', '_']))
    };
    let ends = |known: &str| name.strip_suffix(known).is_some_and(|rest| rest.ends_with(['-', '_']));
    IMAGES.iter().find(|(known, _)| is(known) || ends(known)).map(|(_, what)| *what)
}

fn by_place(target: &str) -> Option<&'static str> {
    let within =
        |place: &str| target.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    PLACES.iter().find(|(place, _)| within(place)).map(|(_, what)| *what)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn service(yaml: &str) -> Service {
        serde_yaml::from_str(yaml).unwrap()
    }

    #[test]
    fn databases_are_known_by_their_image() {
        for (image, what) in [
            ("postgres", Some("PostgreSQL")),
            ("postgres:16-alpine", Some("PostgreSQL")),
            ("registry.example/library/mysql:8", Some("MySQL")),
            ("bitnami/redis@sha256:0123", Some("Redis")),
            ("registry:5000/team/our-postgres:3", Some("PostgreSQL")),
            ("confluentinc/cp-kafka:7", Some("Kafka")),
            ("ghcr.io/immich-app/postgres:14", Some("PostgreSQL")),
            ("prometheuscommunity/postgres-exporter", None),
            ("rediscommander/redis-commander", None),
            ("shop/web:2", None),
            ("mongo-express", None),
            ("gvenzl/oracle-free:23", Some("Oracle")),
            ("mcr.microsoft.com/azure-sql-edge:1.0.4", Some("SQL Server")),
            ("chrislusf/seaweedfs:4", Some("SeaweedFS")),
            ("supabase/postgres-meta:v0.96", None),
            ("nginx:5432", None),
        ] {
            assert_eq!(by_image(image), what, "{image}");
        }
    }

    #[test]
    fn or_by_where_they_write_or_what_they_listen_on() {
        let writes = "{build: ., volumes: [{type: volume, source: data, target: /var/lib/mysql/data}]}";
        assert_eq!(keeper_of_data(&service(writes)), Some("MySQL"));
        let reads =
            "{build: ., volumes: [{type: volume, source: d, target: /var/lib/mysql, read_only: true}]}";
        assert_eq!(keeper_of_data(&service(reads)), None);
        assert_eq!(keeper_of_data(&service("{build: ., ports: [{target: 5432}]}")), Some("PostgreSQL"));
        assert_eq!(keeper_of_data(&service("{build: ., expose: ['6379/tcp']}")), Some("Redis"));
        assert_eq!(keeper_of_data(&service("{build: ., ports: [{target: 8080}]}")), None);
    }
}

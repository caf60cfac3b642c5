//! Commands by which well-known programs say whether they answer. Each is in every image of the program, and needs
//! neither a password nor a file.

type Check = &'static [&'static str];

const CHECKS: &[(&str, Check)] = &[
    // By TCP: while it makes its first database it listens on its socket only. So does MySQL.
    ("postgres", &["CMD-SHELL", "pg_isready -h 127.0.0.1 -U \"$${POSTGRES_USER:-postgres}\""]),
    ("redis", &["CMD", "redis-cli", "ping"]),
    ("valkey", &["CMD", "valkey-cli", "ping"]),
    // One that refuses the user has answered, which is good enough for them too.
    ("mysql", &["CMD", "mysqladmin", "ping", "-h", "127.0.0.1"]),
    ("mariadb", &["CMD-SHELL", "mariadb-admin ping -h 127.0.0.1 || mysqladmin ping -h 127.0.0.1"]),
    ("rabbitmq", &["CMD", "rabbitmq-diagnostics", "-q", "ping"]),
];

/// The `test` of a healthcheck, as it stands in a compose file.
pub fn own_check(program: &str) -> Option<Check> {
    CHECKS.iter().find(|(known, _)| *known == program).map(|(_, check)| *check)
}

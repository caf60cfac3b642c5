use zdd::engine::swarm::{decoded, read_services, read_swarm, read_tasks};

/// 20.10.24, by the CLI 28.2.2.
const PS: &str = r#"{"CurrentState":"Running 3 seconds ago","DesiredState":"Running","Error":"","ID":"r7csnzl38nan5xfqz0wo3yxjm","Image":"app:1","Name":"shop_app.1","Node":"n2","Ports":""}
{"CurrentState":"Failed less than a second ago","DesiredState":"Shutdown","Error":"\"task: non-zero exit (3)\"","ID":"hur46c6dgwpyqyy45efz58owd","Image":"app:1","Name":" \\_ shop_app.1","Node":"n2","Ports":""}
"#;

#[test]
fn tasks_are_read_without_their_ages_and_the_tree_that_they_are_drawn_in() {
    let tasks = read_tasks(PS).expect("tasks");
    let of = |at: usize| (&*tasks[at].name, &*tasks[at].desired, &*tasks[at].state, &*tasks[at].error);
    assert_eq!(of(0), ("shop_app.1", "running", "running", ""));
    assert_eq!(of(1), ("shop_app.1", "shutdown", "failed", "task: non-zero exit (3)"));
    assert!(read_tasks("no such service: x").is_err());
    assert!(read_tasks("\n").expect("nothing").is_empty());
}

#[test]
fn an_update_that_has_not_begun_has_no_state() {
    let one = |update: &str| {
        let text = format!(r#"[{{"ID":"s","Spec":{{"Name":"shop_app","Mode":{{"Global":{{}}}}}}{update}}}]"#);
        read_services(&text).expect("services").remove(0)
    };
    assert_eq!((one("").state(), one("").mode(), one("").replicas()), ("", "global", None));
    assert_eq!(one(r#","UpdateStatus":{}"#).update, None);
    let going = one(r#","UpdateStatus":{"State":"updating","StartedAt":"t","Message":"m"}"#);
    assert_eq!(going.state(), "updating");
}

#[test]
fn a_manager_is_told_from_an_engine_that_is_none() {
    let alone = r#"{"NodeID":"","LocalNodeState":"inactive","ControlAvailable":false,"Error":"","RemoteManagers":null}"#;
    let swarm = read_swarm(alone).expect("an answer");
    assert_eq!((swarm.controls, &*swarm.state), (false, "inactive"));
}

#[test]
fn the_data_of_a_config_is_base64() {
    assert_eq!(decoded("eAo="), Some(b"x\n".to_vec()));
    assert_eq!(decoded("AP/+"), Some(vec![0, 255, 254]));
    assert_eq!(decoded(""), Some(vec![]));
    assert_eq!(decoded("e-"), None);
}

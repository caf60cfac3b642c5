//! What a service names its image by.

use zdd::project::Overrides;

use crate::make::{project, read};

/// What is wrong with a service of these lines.
fn refused(name: &str, service: &str) -> String {
    let file = format!("name: app\nservices: {{{name}: {service}}}");
    read(&file, &Overrides::default()).expect_err(service).to_string()
}

#[test]
fn what_names_no_image_is_an_error_of_the_file() {
    assert_eq!(
        refused("web", "{image: 'app:'}"),
        "services.web.image: \"app:\" is not an image: there is no tag after the colon; write one like \"app:1.0\""
    );
    assert_eq!(
        refused("web", "{image: ''}"),
        "services.web.image: \"\" is not an image: it is empty; write one like \"app:1.0\""
    );
    assert_eq!(
        refused("web", "{image: 'app:', build: {context: .}}"),
        "services.web.image: \"app:\" is not an image: there is no tag after the colon; write one like \"app:1.0\""
    );
    assert_eq!(
        refused("Web", "{build: {context: .}}"),
        "services.Web.image: \"app-Web\" is not an image: \"app-Web\" has capital letters; write one like \"app:1.0\""
    );
    assert_eq!(
        refused("web", "{image: app, pre_start: [{image: 'tool:', command: [migrate]}]}"),
        "services.web.pre_start: \"tool:\" is not an image: there is no tag after the colon; write one like \"app:1.0\""
    );
}

#[test]
fn a_service_that_is_built_needs_no_image() {
    let project = project("services: {web: {image: '', build: {context: .}}, Db: {provider: {type: model}}}");
    assert_eq!(project.services["web"].image.reference, "app-web");
}

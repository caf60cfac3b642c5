//! A JSON Schema of ours.

use boon::{Compiler, SchemaIndex, Schemas};
use serde_json::Value;

pub struct Validator {
    schemas: Schemas,
    index: SchemaIndex,
}

impl Validator {
    /// Fails where the text is no valid schema.
    pub fn new(schema: &str) -> Validator {
        let (mut schemas, mut compiler) = (Schemas::new(), Compiler::new());
        compiler
            .add_resource("schema.json", serde_json::from_str(schema).expect("JSON"))
            .expect("a resource");
        let index = compiler.compile("schema.json", &mut schemas).unwrap_or_else(|e| panic!("{e:#}"));
        Validator { schemas, index }
    }

    /// What is wrong with a value.
    pub fn check(&self, value: &Value) -> Result<(), String> {
        self.schemas.validate(value, self.index).map_err(|error| format!("{error:#}"))
    }
}

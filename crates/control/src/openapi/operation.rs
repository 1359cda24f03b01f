//! One operation of the document, put together piece by piece.

use serde_json::{Map, Value, json};

use super::schema::component;
use crate::access::Verb;
use crate::api::error::CODES;

/// One method of one path.
pub struct Operation(Map<String, Value>);

impl Operation {
    /// An operation with its unique id.
    pub fn new(id: impl Into<String>, tag: &str, summary: impl Into<String>) -> Self {
        let mut fields = Map::new();
        fields.insert("operationId".into(), id.into().into());
        fields.insert("summary".into(), summary.into().into());
        fields.insert("tags".into(), json!([tag]));
        Self(fields)
    }

    /// What the summary leaves out.
    pub fn description(self, text: impl Into<String>) -> Self {
        self.with("description", text.into().into())
    }

    /// Needs a token of an account with this permission in the tenant.
    pub fn permission(self, noun: &str, verb: Verb) -> Self {
        self.with("x-permission", format!("{noun}:{}", verb.name()).into()).refuses(&[401, 403, 429, 500])
    }

    /// Needs an account, whatever it may do.
    pub fn account(self) -> Self {
        self.with("x-permission", "account".into()).refuses(&[401, 403, 429, 500])
    }

    /// Needs no token.
    pub fn public(self) -> Self {
        self.with("security", json!([]))
    }

    /// Is at a path with these parameters of the components, and may not find what they name.
    pub fn at(mut self, names: &[&str]) -> Self {
        if names.is_empty() {
            return self;
        }
        let other = self.0.remove("parameters");
        self = self.parameters(names);
        for parameter in other.as_ref().and_then(Value::as_array).into_iter().flatten() {
            self = self.parameter(parameter.clone());
        }
        self.refuses(&[404])
    }

    /// Takes parameters of the components.
    pub fn parameters(mut self, names: &[&str]) -> Self {
        for name in names {
            self = self.parameter(json!({"$ref": format!("#/components/parameters/{name}")}));
        }
        self
    }

    /// Takes this parameter.
    pub fn parameter(mut self, parameter: Value) -> Self {
        let all = self.0.entry("parameters").or_insert_with(|| json!([]));
        all.as_array_mut().expect("parameters are a list").push(parameter);
        self
    }

    /// Takes a JSON body of this schema.
    pub fn body(self, schema: Value, examples: Map<String, Value>) -> Self {
        self.body_as(&["application/json"], schema, examples).refuses(&[400, 413, 415])
    }

    /// Takes a body of this schema in one of these media types.
    pub fn body_as(self, media_types: &[&str], schema: Value, examples: Map<String, Value>) -> Self {
        let mut form = of_schema(schema);
        if !examples.is_empty() {
            form["examples"] = examples.into();
        }
        let content: Map<String, Value> = media_types.iter().map(|media| ((*media).to_owned(), form.clone())).collect();
        self.with("requestBody", json!({"required": true, "content": content}))
    }

    /// Says that the body may be left out.
    pub fn optional_body(mut self) -> Self {
        if let Some(body) = self.0.get_mut("requestBody") {
            body["required"] = json!(false);
        }
        self
    }

    /// Answers with JSON of this schema.
    pub fn answers(self, status: u16, description: &str, schema: Value) -> Self {
        self.answers_as(status, description, "application/json", schema)
    }

    /// Answers with this media type.
    pub fn answers_as(self, status: u16, description: &str, media_type: &str, schema: Value) -> Self {
        let mut content = Map::new();
        content.insert(media_type.to_owned(), of_schema(schema));
        self.response(status, json!({"description": description, "content": content}))
    }

    /// Answers without a body.
    pub fn answers_empty(self, status: u16, description: &str) -> Self {
        self.response(status, json!({"description": description}))
    }

    /// Sends these headers of the components with every answer given so far.
    pub fn headers(mut self, names: &[&str]) -> Self {
        let responses = self.0.get_mut("responses").and_then(Value::as_object_mut);
        for response in responses.into_iter().flat_map(|responses| responses.values_mut()) {
            if response.get("$ref").is_none() {
                for name in names {
                    response["headers"][*name] = json!({"$ref": format!("#/components/headers/{name}")});
                }
            }
        }
        self
    }

    /// Can be refused with these statuses.
    pub fn refuses(mut self, statuses: &[u16]) -> Self {
        for status in statuses {
            let (_, code, _) = CODES.iter().find(|(known, ..)| known == status).expect("the status is in the table");
            self = self.response(*status, json!({"$ref": format!("#/components/responses/{code}")}));
        }
        self
    }

    /// Can be refused with these codes.
    pub fn refuses_as(mut self, codes: &[&str]) -> Self {
        for code in codes {
            let (status, code, _) = CODES.iter().find(|(_, known, _)| known == code).expect("the code is in the table");
            self = self.response(*status, json!({"$ref": format!("#/components/responses/{code}")}));
        }
        self
    }

    fn response(mut self, status: u16, response: Value) -> Self {
        let all = self.0.entry("responses").or_insert_with(|| json!({}));
        all[status.to_string()] = response;
        self
    }

    fn with(mut self, field: &str, value: Value) -> Self {
        self.0.insert(field.to_owned(), value);
        self
    }

    /// The operation as JSON, its parts in the order in which they are read.
    pub fn into_value(mut self) -> Value {
        let order = [
            "operationId",
            "summary",
            "description",
            "tags",
            "x-permission",
            "security",
            "parameters",
            "requestBody",
            "responses",
        ];
        if let Some(responses) = self.0.get_mut("responses").and_then(Value::as_object_mut) {
            responses.sort_keys();
        }
        order.into_iter().filter_map(|part| Some((part.to_owned(), self.0.remove(part)?))).collect()
    }
}

fn of_schema(schema: Value) -> Value {
    let mut form = json!({});
    form["schema"] = schema;
    form
}

/// A reference to a schema of the components.
pub fn schema(name: &str) -> Value {
    json!({"$ref": component(name)})
}

/// One example by itself.
pub fn example(name: &str, value: &Value) -> Map<String, Value> {
    let mut examples = Map::new();
    examples.insert(name.to_owned(), json!({"value": value}));
    examples
}

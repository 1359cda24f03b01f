//! A page of content that is published through the API.

use portunus_gateway::kind::Kind;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A page of content: a JSON document of some type under a slug, read by anybody once it is published. Its name is
/// `content_type:slug`.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ContentPage {
    /// What sort of page it is, such as `project`.
    #[schemars(length(max = 40), regex(pattern = "^[a-z0-9][a-z0-9_-]*$"))]
    pub content_type: String,
    /// Its place among the pages of its type: lower case letters, digits and hyphens.
    #[schemars(length(max = 80), regex(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$"))]
    pub slug: String,
    /// The page itself.
    pub data: Map<String, Value>,
    /// Who sees it.
    #[serde(default)]
    pub status: PageStatus,
    /// Where lists have it; the lowest number comes first.
    #[serde(default)]
    pub sort_order: i32,
}

/// Who sees a page.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PageStatus {
    /// Those who write it.
    #[default]
    Draft,
    /// Everybody.
    Published,
    /// Those who wrote it.
    Archived,
}

impl Kind for ContentPage {
    const KIND: &'static str = "ContentPage";
    const PLURAL: &'static str = "content-pages";
    const NOUN: &'static str = "content";
    const NAMED_BY: &'static [&'static str] = &["content_type", "slug"];
}

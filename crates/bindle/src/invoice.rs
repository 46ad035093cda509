//! The model of an invoice, as it is written in TOML and in JSON.
//!
//! Existing readers refuse fields that they do not know, and so does this one: what goes beyond the
//! format has its place in `annotations` and `feature`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize};

use crate::id::{Id, IdError, parse_version};
use crate::{Sha256, Signature};

/// The version of the format, which each invoice begins with.
pub const BINDLE_VERSION: &str = "1.0.0";

/// What is said about something beside the format's own fields.
pub type Annotations = BTreeMap<String, String>;

/// What a parcel has or needs: by a group of features, and in it by name.
pub type Features = BTreeMap<String, BTreeMap<String, String>>;

/// What one version of a bindle consists of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Invoice {
    /// The version of the format: [`BINDLE_VERSION`].
    pub bindle_version: String,
    /// Whether it is to be used no more.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub yanked: bool,
    /// Who says so.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub yanked_signature: Vec<Signature>,
    /// Its name and version.
    pub bindle: Spec,
    /// What else is said about it.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub annotations: Annotations,
    /// What it consists of.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub parcel: Vec<Parcel>,
    /// What belongs together, or excludes each other.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub group: Vec<Group>,
    /// Who stands for it.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub signature: Vec<Signature>,
}

/// What a bindle is called, and who made it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "SpecFields", into = "SpecFields")]
pub struct Spec {
    /// Name and version.
    pub id: Id,
    /// What it is, in a sentence.
    pub description: Option<String>,
    /// `Ada <ada@example.com>`.
    pub authors: Vec<String>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct SpecFields {
    name: String,
    version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<String>,
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    authors: Vec<String>,
}

/// One of the files of a bindle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Parcel {
    /// What is known of it.
    pub label: Label,
    /// When it is needed.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub conditions: Conditions,
}

/// What is known of a parcel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Label {
    /// The digest of its bytes, which is what it is found by.
    pub sha256: Sha256,
    /// Its `Content-Type`.
    pub media_type: String,
    /// The name of its file. Other readers require one, so that it is always written.
    #[serde(default)]
    pub name: String,
    /// How many bytes it has: at most 2⁶³ - 1, as TOML cannot write more.
    pub size: u64,
    /// Where it is from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<String>,
    /// What else is said about it.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub annotations: Annotations,
    /// What it has or needs.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub feature: Features,
}

/// When a parcel is needed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Conditions {
    /// The groups that it belongs to. A parcel of none belongs to all of the bindle: it is always
    /// needed.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub member_of: Vec<String>,
    /// The groups that are needed beside it.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub requires: Vec<String>,
}

/// Parcels that belong together, or exclude each other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Group {
    /// What parcels call it.
    pub name: String,
    /// Whether it is needed in any case, rather than if somebody asks or a parcel requires it.
    #[serde(
        default,
        deserialize_with = "or_default",
        skip_serializing_if = "is_default"
    )]
    pub required: bool,
    /// How many of its parcels are needed.
    #[serde(default, deserialize_with = "or_default")]
    pub satisfied_by: SatisfiedBy,
}

/// How many of a group's parcels are needed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum SatisfiedBy {
    /// All of them.
    #[default]
    AllOf,
    /// Exactly one.
    OneOf,
    /// Any number of them.
    Optional,
}

impl Invoice {
    /// An invoice without parcels.
    pub fn new(id: Id) -> Self {
        Self {
            bindle_version: BINDLE_VERSION.to_owned(),
            yanked: false,
            yanked_signature: Vec::new(),
            bindle: Spec {
                id,
                description: None,
                authors: Vec::new(),
            },
            annotations: Annotations::new(),
            parcel: Vec::new(),
            group: Vec::new(),
            signature: Vec::new(),
        }
    }

    /// Its name and version.
    pub fn id(&self) -> &Id {
        &self.bindle.id
    }

    /// The label of its parcel with this digest.
    pub fn label(&self, digest: Sha256) -> Option<&Label> {
        let mut labels = self.parcel.iter().map(|parcel| &parcel.label);
        labels.find(|label| label.sha256 == digest)
    }
}

impl Parcel {
    /// Whether it is needed in any case: it belongs to no group.
    pub fn is_global(&self) -> bool {
        self.conditions.member_of.is_empty()
    }
}

impl Label {
    /// What has to be known of a parcel.
    pub fn new(sha256: Sha256, media_type: impl Into<String>, size: u64) -> Self {
        Self {
            sha256,
            media_type: media_type.into(),
            name: String::new(),
            size,
            origin: None,
            annotations: Annotations::new(),
            feature: Features::new(),
        }
    }

    /// One of its features.
    pub fn feature(&self, group: &str, name: &str) -> Option<&str> {
        Some(self.feature.get(group)?.get(name)?)
    }
}

impl TryFrom<SpecFields> for Spec {
    type Error = IdError;

    fn try_from(fields: SpecFields) -> Result<Self, IdError> {
        let version = parse_version(&fields.version)?;
        Ok(Self {
            id: Id::new(fields.name, version)?,
            description: fields.description,
            authors: fields.authors,
        })
    }
}

impl From<Spec> for SpecFields {
    fn from(spec: Spec) -> Self {
        Self {
            name: spec.id.name().to_owned(),
            version: spec.id.version().to_string(),
            description: spec.description,
            authors: spec.authors,
        }
    }
}

/// JSON's `null`, which other writers have where there is nothing.
pub(crate) fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

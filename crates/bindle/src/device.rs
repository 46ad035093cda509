//! What a device has, and what of it a parcel needs.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::Label;
use crate::text::{essence, listed, shortened};

/// The features that say what a parcel needs of a device.
const STRAND: &str = "strand";

/// Components and modules, which a device without a compiler cannot run.
const WASM: &str = "application/wasm";

/// Code that was compiled for one kind of device.
const ARTIFACT: &str = "application/vnd.strand.artifact.v1";

/// A device, as far as it matters for what it can run.
///
/// As TOML: `memory = "64Mi"`, `cores = 2`, `architecture = "aarch64"`, `compiler = false`,
/// `artifacts = ["pulley64"]`, `link = "1Mi"`, and in `[features.GROUP]` lists of values by name.
/// What is left out is as [`Device::default`] has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "camelCase")]
pub struct Device {
    /// Memory that a parcel may have, in bytes. By default more than anybody needs. Each is held
    /// against it by itself: what a bindle has need not be in memory at the same time.
    #[serde(with = "bytes")]
    pub memory: u64,
    /// Cores: 1 by default.
    pub cores: u32,
    /// As Rust calls it: `x86_64`, `aarch64`. By default that of this build.
    pub architecture: String,
    /// Whether it compiles WebAssembly: by default it does.
    pub compiler: bool,
    /// The targets whose precompiled code it runs. Whether that code is trusted is another
    /// question, see [`Wanted::distrusted`](crate::Wanted::distrusted). By default none.
    pub artifacts: Vec<String>,
    /// How many bytes it gets in a second. By default nobody knows.
    #[serde(with = "bytes::optional", skip_serializing_if = "Option::is_none")]
    pub link: Option<u64>,
    /// By group and name, the values of a feature that it has. Of features that it does not
    /// mention, parcels may say what they like.
    pub features: BTreeMap<String, BTreeMap<String, Vec<String>>>,
}

/// The description of a device cannot be read.
#[derive(Clone, Debug, Error)]
#[error("the device cannot be read: {0}")]
pub struct DeviceError(#[from] toml::de::Error);

impl Default for Device {
    fn default() -> Self {
        Self {
            memory: u64::MAX,
            cores: 1,
            architecture: std::env::consts::ARCH.to_owned(),
            compiler: true,
            artifacts: Vec::new(),
            link: None,
            features: BTreeMap::new(),
        }
    }
}

impl Device {
    /// Reads a device.
    ///
    /// # Errors
    /// What is no TOML, and fields and values that there are not.
    pub fn from_toml(text: &str) -> Result<Self, DeviceError> {
        Ok(toml::from_str(text)?)
    }

    /// Why a parcel is not for this device: nothing, if it is.
    ///
    /// A parcel says what it needs in its features `strand.memory` (`256Mi`), `strand.cores`,
    /// `strand.architecture` (one or several, with commas) and, for precompiled code,
    /// `strand.target`. Code needs as much memory as it has bytes in any case.
    pub(crate) fn unfit(&self, label: &Label) -> Vec<String> {
        let mut why = Vec::new();
        let media_type = essence(&label.media_type);
        let is_code = [WASM, ARTIFACT].contains(&&*media_type);
        if media_type == WASM && !self.compiler {
            why.push("it is WebAssembly, and the device has no compiler".to_owned());
        }
        if media_type == ARTIFACT {
            match label.feature(STRAND, "target") {
                None => why.push("it is precompiled, but does not say for what".to_owned()),
                Some(target) if self.artifacts.iter().any(|known| known == target) => {}
                Some(target) => why.push(format!(
                    "it is compiled for `{}`, and the device runs {}",
                    shortened(target),
                    listed(&self.artifacts)
                )),
            }
        }
        self.look_at_memory(label, is_code, &mut why);
        if latency_of(label).is_none() {
            let text = label.feature(STRAND, "latency").unwrap_or_default();
            why.push(format!(
                "its `strand.latency` `{}` is no time: write `20ms` or `1.5s`",
                shortened(text)
            ));
        }
        self.look_at_cores(label, &mut why);
        if let Some(wanted) = label.feature(STRAND, "architecture") {
            let mut all = wanted.split(',').map(str::trim);
            if !all.any(|one| one == self.architecture) {
                let wanted = shortened(wanted);
                why.push(format!(
                    "it is for {wanted}, and the device is {}",
                    self.architecture
                ));
            }
        }
        for (group, features) in &self.features {
            for (name, has) in features {
                let Some(value) = label.feature(group, name) else {
                    continue;
                };
                if !has.iter().any(|one| one == value) {
                    why.push(format!(
                        "its `{group}.{name}` is `{}`, and the device has {}",
                        shortened(value),
                        listed(has)
                    ));
                }
            }
        }
        why
    }

    fn look_at_memory(&self, label: &Label, is_code: bool, why: &mut Vec<String>) {
        if is_code && label.size > self.memory {
            why.push(format!(
                "it has {} bytes, and the device {} of memory",
                label.size, self.memory
            ));
        }
        match memory_of(label) {
            Ok(needed) if needed <= self.memory => {}
            Ok(needed) => why.push(format!(
                "it needs {} of memory, and the device has {}",
                written(needed),
                written(self.memory)
            )),
            Err(text) => why.push(format!("its `strand.memory` `{text}` is not a size")),
        }
    }

    fn look_at_cores(&self, label: &Label, why: &mut Vec<String>) {
        let Some(text) = label.feature(STRAND, "cores") else {
            return;
        };
        match text.parse::<u32>() {
            Ok(needed) if needed <= self.cores => {}
            Ok(needed) => {
                why.push(format!(
                    "it needs {needed} cores, and the device has {}",
                    self.cores
                ));
            }
            Err(_) => why.push(format!(
                "its `strand.cores` `{}` is no number",
                shortened(text)
            )),
        }
    }
}

/// How much memory a parcel says that it needs.
pub(crate) fn memory_of(label: &Label) -> Result<u64, String> {
    label
        .feature(STRAND, "memory")
        .map_or(Ok(0), |text| size(text).ok_or_else(|| shortened(text)))
}

/// How long a parcel says that a use of it takes: `20ms`, `1.5s`. No time if it does not say, none
/// if it cannot be read.
pub(crate) fn latency_of(label: &Label) -> Option<Duration> {
    let Some(text) = label.feature(STRAND, "latency") else {
        return Some(Duration::ZERO);
    };
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s')?, 1.0),
    };
    Duration::try_from_secs_f64(number.parse::<f64>().ok()? * unit).ok()
}

const UNITS: [(&str, u64); 5] = [
    ("Ti", 1 << 40),
    ("Gi", 1 << 30),
    ("Mi", 1 << 20),
    ("Ki", 1 << 10),
    ("", 1),
];

/// A number of bytes: `65536`, `64Ki`.
fn size(text: &str) -> Option<u64> {
    let digits = text
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
}

/// As [`size`] reads it.
fn written(size: u64) -> String {
    let fits = |(_, factor): &&(&str, u64)| size > 0 && size.is_multiple_of(*factor);
    match UNITS.iter().find(fits) {
        Some((unit, factor)) => format!("{}{unit}", size / factor),
        None => size.to_string(),
    }
}

mod bytes {
    //! A size: a number, or text.

    use serde::{Deserialize, Deserializer, Serializer};

    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Bytes {
        Number(u64),
        Text(String),
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes a reference"
    )]
    pub(super) fn serialize<S: Serializer>(size: &u64, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::written(*size))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        match Bytes::deserialize(from)? {
            Bytes::Number(size) => Ok(size),
            Bytes::Text(text) => super::size(&text).ok_or_else(|| {
                let text = super::shortened(&text);
                serde::de::Error::custom(format!("`{text}` is not a size: write bytes, or `64Mi`"))
            }),
        }
    }

    /// The same, where it may be missing.
    pub(super) mod optional {
        use serde::{Deserialize, Deserializer, Serializer};

        #[derive(Deserialize)]
        struct Size(#[serde(with = "super")] u64);

        #[expect(clippy::ref_option, reason = "serde passes a reference")]
        pub(in super::super) fn serialize<S: Serializer>(
            size: &Option<u64>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match size {
                Some(size) => super::serialize(size, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(in super::super) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Option<u64>, D::Error> {
            Ok(Option::<Size>::deserialize(from)?.map(|Size(size)| size))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_as_they_are_read() {
        for (text, bytes) in [
            ("0", 0),
            ("1", 1),
            ("1000", 1000),
            ("64Ki", 65536),
            ("3Gi", 3 << 30),
        ] {
            assert_eq!((size(text), &*written(bytes)), (Some(bytes), text));
        }
        for wrong in [
            "",
            "Mi",
            "64M",
            "64mi",
            "-1",
            "1.5Gi",
            "64 Mi",
            "18446744073709551616",
            "99999999Ti",
        ] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_device_comes_from_toml() {
        let device = Device::from_toml("memory = '64Mi'\ncompiler = false\nlink = 1000\n").unwrap();
        let expected = Device {
            memory: 64 << 20,
            compiler: false,
            link: Some(1000),
            ..Device::default()
        };
        assert_eq!(device, expected);
        assert_eq!(
            Device::from_toml(&toml::to_string(&device).unwrap()).unwrap(),
            device
        );
        for wrong in ["memory = '64M'", "memory = -1", "ram = 1", "cores = 'two'"] {
            assert!(Device::from_toml(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn what_a_parcel_needs_is_held_against_the_device() {
        let label = |media_type: &str, features: &str| -> Label {
            let head = format!(
                "sha256 = '{}'\nmediaType = '{media_type}'\nsize = 1000\n[feature.strand]\n{features}",
                crate::Sha256::of("")
            );
            toml::from_str(&head).unwrap()
        };
        let device = Device {
            memory: 64 << 20,
            cores: 2,
            architecture: "aarch64".to_owned(),
            artifacts: vec!["pulley64".to_owned()],
            ..Device::default()
        };
        for (media_type, features, why) in [
            (WASM, "", None),
            (
                WASM,
                "memory = '64Mi'\ncores = '2'\narchitecture = 'x86_64, aarch64'",
                None,
            ),
            (
                WASM,
                "memory = '65Mi'",
                Some("it needs 65Mi of memory, and the device has 64Mi"),
            ),
            (
                WASM,
                "memory = 'much'",
                Some("its `strand.memory` `much` is not a size"),
            ),
            (
                WASM,
                "cores = '3'",
                Some("it needs 3 cores, and the device has 2"),
            ),
            (
                WASM,
                "cores = 'all'",
                Some("its `strand.cores` `all` is no number"),
            ),
            (
                WASM,
                "architecture = 'x86_64'",
                Some("it is for x86_64, and the device is aarch64"),
            ),
            (ARTIFACT, "target = 'pulley64'", None),
            (
                ARTIFACT,
                "",
                Some("it is precompiled, but does not say for what"),
            ),
            (
                ARTIFACT,
                "target = 'x86_64-linux'",
                Some("it is compiled for `x86_64-linux`, and the device runs pulley64"),
            ),
            ("text/plain", "anything = 'else'", None),
        ] {
            let found = device.unfit(&label(media_type, features));
            assert_eq!(found.first().map(String::as_str), why, "{features}");
            assert!(found.len() < 2, "{found:?}");
        }
        let tiny = Device {
            memory: 999,
            compiler: false,
            ..Device::default()
        };
        assert_eq!(tiny.unfit(&label(&format!("{WASM}; x=y"), "")).len(), 2);
        assert_eq!(tiny.unfit(&label("model/gguf", "")), [] as [&str; 0]);
    }

    #[test]
    fn features_that_a_device_mentions_are_compared() {
        let device = Device::from_toml("features.wasm.ui_kit = ['none', 'sgu']").unwrap();
        let label = |features: &str| -> Label {
            let digest = crate::Sha256::of("");
            let text = format!("sha256 = '{digest}'\nmediaType = 'a/b'\nsize = 1\n{features}");
            toml::from_str(&text).unwrap()
        };
        assert_eq!(
            device.unfit(&label("feature.wasm.ui_kit = 'sgu'")),
            [] as [&str; 0]
        );
        assert_eq!(
            device.unfit(&label("feature.wasm.wasi = 'true'")),
            [] as [&str; 0]
        );
        assert_eq!(
            device.unfit(&label("feature.wasm.ui_kit = 'electron'")),
            ["its `wasm.ui_kit` is `electron`, and the device has none, sgu"]
        );
    }

    #[test]
    fn latencies_have_a_unit() {
        let latency = |text: &str| {
            let digest = crate::Sha256::of("");
            let text = format!(
                "sha256 = '{digest}'\nmediaType = 'a/b'\nsize = 1\nfeature.strand.latency = '{text}'"
            );
            latency_of(&toml::from_str(&text).unwrap())
        };
        assert_eq!(latency("20ms"), Some(Duration::from_millis(20)));
        assert_eq!(latency("1.5s"), Some(Duration::from_millis(1500)));
        for wrong in ["", "s", "20", "20 ms", "-1s", "1e300s", "NaNs"] {
            assert_eq!(latency(wrong), None, "{wrong}");
        }
    }
}

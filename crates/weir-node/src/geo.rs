//! Location and type of addresses: reads the [`Source`] of an address from MMDB files (MaxMind DB format).
//!
//! A [`Geo`] is immutable. A reload opens a new one with [`Geo::reopen`], which keeps the databases whose files did not
//! change, and swaps it in with the rest of the generation. Replace a file by renaming a new one over it, so that it is
//! never read half written.

use maxminddb::{LookupResult, MaxMindDbError, PathElement, Reader};
use serde::Deserialize;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;
use weir_policy::{Country, Region, Source, SourceKinds};

/// Largest database file: the complete commercial ones are under 500 MiB.
const MAX_DATABASE: u64 = 1 << 30;

/// The files to read; each is optional.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatabaseFiles {
    /// Countries and regions: `country.iso_code`, `subdivisions[0].iso_code` or `country_code`.
    pub country: Option<PathBuf>,
    /// Autonomous systems: `autonomous_system_number` or `asn`.
    pub asn: Option<PathBuf>,
    /// Source types: `is_tor_exit_node` and its like, `proxy_type`, or a list `source_types` of documented codes.
    pub source_types: Option<PathBuf>,
}

/// A database that could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct GeoError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub source: GeoErrorKind,
}

/// Why a database could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum GeoErrorKind {
    /// It could not be read.
    #[error(transparent)]
    Io(std::io::Error),
    /// It is larger than any database should be; its size in bytes.
    #[error("{0} bytes are more than {MAX_DATABASE}")]
    TooLarge(u64),
    /// It is not an MMDB file.
    #[error(transparent)]
    Format(MaxMindDbError),
}

/// One open database.
#[derive(Clone, Debug)]
struct Database {
    path: PathBuf,
    version: FileVersion,
    reader: Arc<Reader<Vec<u8>>>,
}

/// Detects that a file was replaced after it was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct FileVersion {
    modified: Option<SystemTime>,
    bytes: u64,
}

/// The databases in use.
#[derive(Debug, Default)]
pub struct Geo {
    country: Option<Database>,
    asn: Option<Database>,
    source_types: Option<Database>,
    lookup_errors: AtomicU64,
}

impl Geo {
    /// Opens `files`; reports all errors at once.
    pub fn open(files: &DatabaseFiles) -> Result<Geo, Vec<GeoError>> {
        Geo::default().reopen(files)
    }

    /// Opens `files` again; keeps the databases that did not change on disk.
    pub fn reopen(&self, files: &DatabaseFiles) -> Result<Geo, Vec<GeoError>> {
        let mut errors = Vec::new();
        let mut open = |path: &Option<PathBuf>, known: &Option<Database>| {
            let opened = Database::open(path.as_deref()?, known.as_ref());
            opened.map_err(|source| errors.push(GeoError { path: path.clone().unwrap_or_default(), source })).ok()
        };
        let geo = Geo {
            country: open(&files.country, &self.country),
            asn: open(&files.asn, &self.asn),
            source_types: open(&files.source_types, &self.source_types),
            lookup_errors: AtomicU64::new(self.lookup_errors()),
        };
        if errors.is_empty() { Ok(geo) } else { Err(errors) }
    }

    /// Looks up `ip`. Properties without a record, or with a broken one, stay unset; broken records are counted.
    pub fn source(&self, ip: IpAddr) -> Source {
        let ip = ip.to_canonical();
        let mut source = Source::default();
        if let Some(record) = self.record(&self.country, ip) {
            source.country = country(&record);
            source.region = source.country.and_then(|country| region(&record, country));
        }
        if let Some(record) = self.record(&self.asn, ip) {
            source.asn = asn(&record);
        }
        if let Some(record) = self.record(&self.source_types, ip) {
            source.kinds = self
                .count_error(record.decode::<SourceTypeRecord<'_>>())
                .map(|types| types.kinds())
                .unwrap_or_default();
        }
        source
    }

    /// Records that could not be read since the first open.
    pub fn lookup_errors(&self) -> u64 {
        self.lookup_errors.load(Ordering::Relaxed)
    }

    fn record<'d>(&self, database: &'d Option<Database>, ip: IpAddr) -> Option<LookupResult<'d, Vec<u8>>> {
        let reader = &database.as_ref()?.reader;
        if ip.is_ipv6() && reader.metadata().ip_version == 4 {
            return None;
        }
        self.count_error(reader.lookup(ip).map(Some)).filter(LookupResult::has_data)
    }

    fn count_error<T>(&self, result: Result<Option<T>, MaxMindDbError>) -> Option<T> {
        result.unwrap_or_else(|_| {
            self.lookup_errors.fetch_add(1, Ordering::Relaxed);
            None
        })
    }
}

impl Database {
    fn open(path: &Path, known: Option<&Database>) -> Result<Self, GeoErrorKind> {
        let meta = std::fs::metadata(path).map_err(GeoErrorKind::Io)?;
        let version = FileVersion { modified: meta.modified().ok(), bytes: meta.len() };
        if version.bytes > MAX_DATABASE {
            return Err(GeoErrorKind::TooLarge(version.bytes));
        }
        if let Some(known) = known.filter(|known| known.path == path && known.version == version) {
            return Ok(known.clone());
        }
        let reader =
            Reader::from_source(std::fs::read(path).map_err(GeoErrorKind::Io)?).map_err(GeoErrorKind::Format)?;
        Ok(Self { path: path.into(), version, reader: Arc::new(reader) })
    }
}

/// Text at `path` of a record; `None` if the record has another structure.
fn text<'d>(record: &LookupResult<'d, Vec<u8>>, path: &[PathElement<'_>]) -> Option<&'d str> {
    record.decode_path(path).ok().flatten()
}

fn country(record: &LookupResult<'_, Vec<u8>>) -> Option<Country> {
    let nested = text(record, &[PathElement::Key("country"), PathElement::Key("iso_code")]);
    let code = nested.or_else(|| text(record, &[PathElement::Key("country_code")]));
    code.or_else(|| text(record, &[PathElement::Key("country")])).and_then(Country::new)
}

/// The first subdivision, with its country as in ISO 3166-2.
fn region(record: &LookupResult<'_, Vec<u8>>, country: Country) -> Option<Region> {
    let path = [PathElement::Key("subdivisions"), PathElement::Index(0), PathElement::Key("iso_code")];
    let code = text(record, &path).or_else(|| text(record, &[PathElement::Key("region_code")]))?;
    Region::new(&format!("{country}-{code}"))
}

fn asn(record: &LookupResult<'_, Vec<u8>>) -> Option<u32> {
    let number = |key| record.decode_path::<u32>(&[PathElement::Key(key)]).ok().flatten();
    let named = || text(record, &[PathElement::Key("asn")])?.trim_start_matches("AS").parse().ok();
    number("autonomous_system_number").or_else(|| number("asn")).or_else(named)
}

/// A record of source types, in any of the known structures.
#[derive(Default, Deserialize)]
#[serde(default)]
struct SourceTypeRecord<'a> {
    is_tor_exit_node: bool,
    is_anonymous_vpn: bool,
    is_public_proxy: bool,
    is_residential_proxy: bool,
    is_hosting_provider: bool,
    #[serde(borrow)]
    proxy_type: Option<&'a str>,
    source_types: Vec<&'a str>,
}

impl SourceTypeRecord<'_> {
    fn kinds(&self) -> SourceKinds {
        let flags = [
            (self.is_tor_exit_node, "tor"),
            (self.is_anonymous_vpn, "vpn"),
            (self.is_public_proxy || self.is_residential_proxy, "pub"),
            (self.is_hosting_provider, "dch"),
        ];
        let set = flags.into_iter().filter(|(is, _)| *is).map(|(_, code)| code);
        let all = set.chain(self.proxy_type).chain(self.source_types.iter().copied());
        all.filter_map(SourceKinds::from_code).fold(SourceKinds::NONE, SourceKinds::with)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use maxminddb_writer::Database as Writer;
    use maxminddb_writer::paths::IpAddrWithMask;
    use serde_json::json;

    fn writer() -> Writer {
        let mut writer = Writer::default();
        writer.metadata.binary_format_major_version = 2;
        writer.metadata.database_type = "Test".into();
        writer
    }

    fn write(path: &Path, records: &[(&str, serde_json::Value)]) {
        let mut writer = writer();
        for (network, record) in records {
            let data = writer.insert_value(record).unwrap();
            writer.insert_node(network.parse::<IpAddrWithMask>().unwrap(), data);
        }
        std::fs::write(path, writer.write_to(Vec::new()).unwrap()).unwrap();
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn records_of_several_structures_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| Some(dir.path().join(name));
        let files = DatabaseFiles { country: path("c.mmdb"), asn: path("a.mmdb"), source_types: path("t.mmdb") };
        write(
            files.country.as_ref().unwrap(),
            &[
                ("192.0.2.0/25", json!({"country": {"iso_code": "DE"}, "subdivisions": [{"iso_code": "BY"}]})),
                ("192.0.2.128/25", json!({"country_code": "us", "region_code": "CA"})),
                ("198.51.100.0/24", json!({"country": "FR"})),
                ("203.0.113.0/24", json!({"city": "nowhere"})),
            ],
        );
        let numbers = [
            ("192.0.2.0/24", json!({"autonomous_system_number": 64500_u32})),
            ("198.51.100.0/24", json!({"asn": "AS64501"})),
        ];
        let numbers: Vec<_> = numbers.into_iter().collect();
        write_numbers(files.asn.as_ref().unwrap(), &numbers);
        write(
            files.source_types.as_ref().unwrap(),
            &[
                ("192.0.2.0/24", json!({"is_tor_exit_node": true, "is_hosting_provider": true})),
                ("198.51.100.0/24", json!({"proxy_type": "VPN", "other": "x"})),
                ("203.0.113.0/24", json!({"source_types": ["aws", "unheard of"]})),
            ],
        );
        let geo = Geo::open(&files).unwrap();
        let first = geo.source(ip("::ffff:192.0.2.1"));
        assert_eq!((first.country, first.region), (Country::new("DE"), Region::new("DE-BY")));
        assert_eq!(first.asn, Some(64500));
        let kinds = |codes: &[&str]| {
            codes.iter().fold(SourceKinds::NONE, |all, c| all.with(SourceKinds::from_code(c).unwrap()))
        };
        assert_eq!(first.kinds, kinds(&["tor", "dch"]));
        assert_eq!(geo.source(ip("192.0.2.200")).region, Region::new("US-CA"));
        let second = geo.source(ip("198.51.100.9"));
        assert_eq!((second.country, second.asn, second.kinds), (Country::new("FR"), Some(64501), kinds(&["vpn"])));
        let third = geo.source(ip("203.0.113.9"));
        assert_eq!((third.country, third.kinds), (None, kinds(&["aws"])));
        assert_eq!(geo.source(ip("2001:db8::1")), Source::default());
        assert_eq!(geo.source(ip("8.8.8.8")), Source::default());
        assert_eq!(geo.lookup_errors(), 0);
    }

    /// JSON numbers would be written in a form of their own, so records with numbers are typed.
    fn write_numbers(path: &Path, records: &[(&str, serde_json::Value)]) {
        #[derive(serde::Serialize)]
        struct Typed {
            autonomous_system_number: u32,
        }
        let mut writer = writer();
        for (network, record) in records {
            let data = match record["autonomous_system_number"].as_u64() {
                Some(number) => writer.insert_value(Typed { autonomous_system_number: number as u32 }).unwrap(),
                None => writer.insert_value(record).unwrap(),
            };
            writer.insert_node(network.parse::<IpAddrWithMask>().unwrap(), data);
        }
        std::fs::write(path, writer.write_to(Vec::new()).unwrap()).unwrap();
    }

    #[test]
    fn reopening_takes_over_what_did_not_change() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("c.mmdb");
        let files = DatabaseFiles { country: Some(file.clone()), ..DatabaseFiles::default() };
        write(&file, &[("192.0.2.0/24", json!({"country_code": "DE"}))]);
        let first = Geo::open(&files).unwrap();
        let same = first.reopen(&files).unwrap();
        let reader = |geo: &Geo| Arc::clone(&geo.country.as_ref().unwrap().reader);
        assert!(Arc::ptr_eq(&reader(&first), &reader(&same)));
        let next = dir.path().join("next");
        write(
            &next,
            &[("192.0.2.0/24", json!({"country_code": "FR"})), ("198.51.100.0/24", json!({"country_code": "FR"}))],
        );
        std::fs::rename(&next, &file).unwrap();
        let fresh = same.reopen(&files).unwrap();
        assert_eq!(fresh.source(ip("192.0.2.1")).country, Country::new("FR"));
        assert_eq!(same.source(ip("192.0.2.1")).country, Country::new("DE"), "the old one lives on");
    }

    #[test]
    fn every_bad_file_is_reported_and_a_hostile_one_does_not_panic() {
        let dir = tempfile::tempdir().unwrap();
        let garbage = dir.path().join("garbage");
        std::fs::write(&garbage, b"no database").unwrap();
        let files = DatabaseFiles { country: Some(garbage), asn: Some(dir.path().join("absent")), source_types: None };
        assert_eq!(Geo::open(&files).unwrap_err().len(), 2);
        let good = dir.path().join("good");
        write(&good, &[("0.0.0.0/1", json!({"country": {"iso_code": "DE"}}))]);
        let bytes = std::fs::read(&good).unwrap();
        let bad = dir.path().join("bad");
        for at in 0..bytes.len() {
            let mut broken = bytes.clone();
            broken[at] ^= 0xff;
            std::fs::write(&bad, &broken).unwrap();
            if let Ok(geo) = Geo::open(&DatabaseFiles { country: Some(bad.clone()), ..DatabaseFiles::default() }) {
                geo.source(ip("1.2.3.4"));
                geo.source(ip("255.2.3.4"));
            }
        }
    }
}

//! Bindle's interface.

use http::header::{CONTENT_TYPE, ETAG};
use http::{Method, StatusCode};
use percent_encoding::percent_decode_str;
use serde::Serialize;
use strand_bindle::wire::{Created, Matches, Missing};
use strand_bindle::{
    Document, Format, Id, Invoice, Keyring, Label, MAX_INVOICE_BYTES, Query, Role, Sha256, sign,
};

use super::answer::{Answer, Refused, format_of};
use super::asked::{Asked, Incoming};
use super::{Server, body, header};
use crate::auth::Right;
use crate::{Bindle, BindleError, Repository, StoreError};

/// What is said where there is nothing else to say.
#[derive(Serialize)]
struct Message {
    message: &'static str,
}

/// What a path under `/v1/` is about.
enum Target {
    Invoices,
    Invoice(Id),
    Parcel(Id, Sha256),
    Missing(Id),
    Query,
    Keys,
    Login,
}

impl Target {
    fn parse(path: &str) -> Result<Self, Refused> {
        // A `+` is one: versions have them.
        let decoded = percent_decode_str(path)
            .decode_utf8()
            .map_err(Refused::bad)?;
        Ok(match &*decoded {
            "_i" => Self::Invoices,
            "_q" => Self::Query,
            "bindle-keys" => Self::Keys,
            "login" => Self::Login,
            path => {
                if let Some(id) = path.strip_prefix("_r/missing/") {
                    return Ok(Self::Missing(id.parse().map_err(Refused::bad)?));
                }
                let Some(name) = path.strip_prefix("_i/") else {
                    return Err(Refused::no_path(&format!("/v1/{path}")));
                };
                match name.split_once('@') {
                    None => Self::Invoice(name.parse().map_err(Refused::bad)?),
                    Some((id, digest)) => Self::Parcel(
                        id.parse().map_err(Refused::bad)?,
                        digest.parse().map_err(Refused::bad)?,
                    ),
                }
            }
        })
    }

    fn methods(&self) -> &'static str {
        match self {
            Self::Invoices => "POST",
            Self::Invoice(_) => "GET, HEAD, DELETE",
            Self::Parcel(..) => "GET, HEAD, POST",
            Self::Missing(_) | Self::Query | Self::Keys | Self::Login => "GET, HEAD",
        }
    }
}

impl Server {
    pub(super) async fn bindle(
        &self,
        asked: &Asked<'_>,
        path: &str,
        body: Incoming,
    ) -> Result<Answer, Refused> {
        let target = Target::parse(path)?;
        let reads = asked.reads();
        match (&target, &asked.head.method) {
            (Target::Invoices, &Method::POST) => self.create_invoice(asked, body).await,
            (Target::Parcel(id, digest), &Method::POST) => {
                self.create_parcel(asked, id, *digest, body).await
            }
            (Target::Invoice(id), &Method::DELETE) => self.yank(asked, id).await,
            (Target::Invoice(id), _) if reads => {
                let bindle = self.find(asked, id, asked.flag("yanked")?).await?;
                Ok(Answer::new(StatusCode::OK, shown(bindle)))
            }
            (Target::Parcel(id, digest), _) if reads => self.parcel(asked, id, *digest).await,
            (Target::Missing(id), _) if reads => {
                let bindle = self.find(asked, id, false).await?;
                let missing = self.store().missing(&bindle).await?;
                Ok(Answer::new(StatusCode::OK, Missing { missing }))
            }
            (Target::Query, _) if reads => self.query(asked).await,
            (Target::Keys, _) if reads => self.keys(asked),
            (Target::Login, _) if reads => Err(Refused::bad(
                "this store has no provider to log in with: use a name and a password, or a token",
            )),
            (target, method) => Err(Refused::method(method, target.methods())),
        }
    }

    /// A bindle that somebody may see.
    async fn find(&self, asked: &Asked<'_>, id: &Id, yanked: bool) -> Result<Bindle, Refused> {
        let repository = Repository::of(id)?;
        asked.allow(Right::Pull, &repository)?;
        self.existing(id, yanked).await
    }

    async fn existing(&self, id: &Id, yanked: bool) -> Result<Bindle, Refused> {
        let bindle = self.store().bindle(id).await?;
        let bindle = bindle.ok_or_else(|| BindleError::Unknown(id.clone()))?;
        if bindle.yanked && !yanked {
            let why = format!("{id} is yanked: use another version, or ask with ?yanked=true");
            return Err(Refused::new(StatusCode::FORBIDDEN, why));
        }
        Ok(bindle)
    }

    async fn create_invoice(&self, asked: &Asked<'_>, body: Incoming) -> Result<Answer, Refused> {
        let policy = &self.0.policy;
        let format = asked.field(CONTENT_TYPE).and_then(format_of);
        let format = format.unwrap_or(Format::Toml);
        let bytes = body::whole(body, policy.silence, MAX_INVOICE_BYTES).await?;
        let document = Document::read(bytes, format).map_err(Refused::bad)?;
        let invoice = document.invoice();
        asked.allow(Right::Push, &Repository::of(invoice.id())?)?;
        if invoice.yanked {
            return Err(BindleError::Yanked.into());
        }
        policy
            .strategy
            .verify(invoice, &policy.keyring)
            .map_err(Refused::bad)?;
        let mut signed = invoice.clone();
        let host = match sign(
            &mut signed,
            Role::Host,
            &policy.host,
            self.store().unix_time(),
        ) {
            Ok(()) => signed.signature.last().cloned(),
            // It is the host's own already.
            Err(strand_bindle::SignError::Twice(_)) => None,
            Err(error) => {
                tracing::error!(%error, "the host's key cannot sign");
                let why = "the store cannot sign: its log has the cause";
                return Err(Refused::new(StatusCode::INTERNAL_SERVER_ERROR, why));
            }
        };
        let may_see = |repository: &Repository| asked.caller.may(Right::Pull, repository);
        let missing = self
            .store()
            .publish(&document, host.as_ref(), &may_see)
            .await?;
        let status = match missing.is_empty() {
            true => StatusCode::CREATED,
            false => StatusCode::ACCEPTED,
        };
        let invoice = signed;
        Ok(Answer::new(status, Created { invoice, missing }))
    }

    async fn yank(&self, asked: &Asked<'_>, id: &Id) -> Result<Answer, Refused> {
        asked.allow(Right::Yank, &Repository::of(id)?)?;
        self.store().yank(id).await?;
        let message = "invoice yanked";
        Ok(Answer::new(StatusCode::OK, Message { message }))
    }

    async fn create_parcel(
        &self,
        asked: &Asked<'_>,
        id: &Id,
        digest: Sha256,
        body: Incoming,
    ) -> Result<Answer, Refused> {
        let store = self.store();
        let repository = Repository::of(id)?;
        asked.allow(Right::Push, &repository)?;
        let bindle = self.existing(id, false).await?;
        let label = label(&bindle, digest)?;
        if store.holds(&repository, digest).await? && store.is_there(digest).await? {
            let why = format!("{id} has its parcel {digest} already");
            return Err(Refused::new(StatusCode::CONFLICT, why));
        }
        let wrong_size = |actual| StoreError::Size {
            expected: label.size,
            actual,
        };
        if let Some(announced) = asked.length()
            && announced != label.size
        {
            return Err(wrong_size(announced).into());
        }
        let mut upload = store.put(&repository);
        body::read(body, self.0.policy.silence, async |bytes| {
            let size = upload.offset() + bytes.len() as u64;
            if size > label.size {
                return Err(wrong_size(size).into());
            }
            Ok(upload.write(bytes).await?)
        })
        .await?;
        if upload.offset() != label.size {
            return Err(wrong_size(upload.offset()).into());
        }
        upload.finish(digest).await?;
        let message = "parcel created";
        Ok(Answer::new(StatusCode::OK, Message { message }))
    }

    async fn parcel(&self, asked: &Asked<'_>, id: &Id, digest: Sha256) -> Result<Answer, Refused> {
        let store = self.store();
        let bindle = self.find(asked, id, asked.flag("yanked")?).await?;
        let label = label(&bindle, digest)?;
        let blob = store.blob_of(&Repository::of(id)?, digest).await?;
        let blob = blob.ok_or_else(|| {
            let why = format!("the parcel {digest} of {id} was not uploaded yet");
            Refused::new(StatusCode::NOT_FOUND, why)
        })?;
        let tag = header(&format!("\"sha256:{digest}\""))?;
        Ok(self
            .content(asked, &blob, &label.media_type)?
            .with(ETAG, tag))
    }

    async fn query(&self, asked: &Asked<'_>) -> Result<Answer, Refused> {
        let query = Query::parse(asked.query()).map_err(Refused::bad)?;
        let may_see = |id: &Id| {
            Repository::of(id).is_ok_and(|repository| asked.caller.may(Right::Pull, &repository))
        };
        let (total, found) = self.store().search(&query, &may_see).await?;
        let invoices: Vec<Invoice> = found.into_iter().map(shown).collect();
        let matches = Matches::new(&query, total, invoices, self.store().unix_time());
        Ok(Answer::new(StatusCode::OK, matches))
    }

    fn keys(&self, asked: &Asked<'_>) -> Result<Answer, Refused> {
        let query = asked.query();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if name != "roles" {
                return Err(Refused::bad(format!(
                    "there is no parameter `{name}`, only `roles`"
                )));
            }
            if value.is_empty() {
                continue;
            }
            let roles = Role::parse_list(&value).map_err(Refused::bad)?;
            if roles.iter().any(|role| *role != Role::Host) {
                return Err(Refused::bad(
                    "a store tells its own keys, which have the role `host`",
                ));
            }
        }
        let mut entry = self.0.policy.host.to_entry();
        entry.roles = vec![Role::Host];
        Ok(Answer::new(StatusCode::OK, Keyring::new(vec![entry])))
    }
}

/// The invoice as Bindle's clients see it.
fn shown(bindle: Bindle) -> Invoice {
    let (_, mut invoice) = bindle.document.into_parts();
    invoice.signature.extend(bindle.host);
    invoice.yanked = bindle.yanked;
    invoice
}

fn label(bindle: &Bindle, digest: Sha256) -> Result<Label, Refused> {
    let invoice = bindle.document.invoice();
    let label = invoice.label(digest).cloned();
    label.ok_or_else(|| Refused::bad(format!("{} has no parcel {digest}", invoice.id())))
}

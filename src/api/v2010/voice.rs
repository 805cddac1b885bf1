//! Where calls are asked about: what applications and numbers have in common.

use serde::Serialize;
use utoipa::ToSchema;

use crate::accounts::{Method, Unknown, VoiceFields};

use super::{answer::Failed, form::url};

/// As it is shown.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VoiceBody {
    voice_url: Option<String>,
    /// `GET` or `POST`.
    voice_method: &'static str,
    voice_fallback_url: Option<String>,
    voice_fallback_method: &'static str,
    status_callback: Option<String>,
    status_callback_method: &'static str,
    voice_caller_id_lookup: bool,
    sms_url: Option<String>,
    sms_method: &'static str,
    sms_fallback_url: Option<String>,
    sms_fallback_method: &'static str,
}

impl VoiceBody {
    pub(super) fn new(fields: &VoiceFields) -> VoiceBody {
        VoiceBody {
            voice_url: fields.voice_url.clone(),
            voice_method: fields.voice_method.as_str(),
            voice_fallback_url: fields.voice_fallback_url.clone(),
            voice_fallback_method: fields.voice_fallback_method.as_str(),
            status_callback: fields.status_callback.clone(),
            status_callback_method: fields.status_callback_method.as_str(),
            voice_caller_id_lookup: fields.voice_caller_id_lookup,
            sms_url: fields.sms_url.clone(),
            sms_method: fields.sms_method.as_str(),
            sms_fallback_url: fields.sms_fallback_url.clone(),
            sms_fallback_method: fields.sms_fallback_method.as_str(),
        }
    }
}

/// As it is said. What is not said stays as it is.
pub(super) struct VoiceForm<'a> {
    pub(super) voice_url: Option<&'a str>,
    pub(super) voice_method: Option<&'a str>,
    pub(super) voice_fallback_url: Option<&'a str>,
    pub(super) voice_fallback_method: Option<&'a str>,
    pub(super) status_callback: Option<&'a str>,
    pub(super) status_callback_method: Option<&'a str>,
    pub(super) voice_caller_id_lookup: Option<bool>,
    pub(super) sms_url: Option<&'a str>,
    pub(super) sms_method: Option<&'a str>,
    pub(super) sms_fallback_url: Option<&'a str>,
    pub(super) sms_fallback_method: Option<&'a str>,
}

impl VoiceForm<'_> {
    pub(super) fn apply(&self, fields: &mut VoiceFields) -> Result<(), Failed> {
        let urls = [
            ("VoiceUrl", self.voice_url, &mut fields.voice_url),
            ("VoiceFallbackUrl", self.voice_fallback_url, &mut fields.voice_fallback_url),
            ("StatusCallback", self.status_callback, &mut fields.status_callback),
            ("SmsUrl", self.sms_url, &mut fields.sms_url),
            ("SmsFallbackUrl", self.sms_fallback_url, &mut fields.sms_fallback_url),
        ];
        for (name, said, field) in urls {
            if let Some(text) = said {
                *field = url(name, text)?;
            }
        }
        let methods = [
            ("VoiceMethod", self.voice_method, &mut fields.voice_method),
            ("VoiceFallbackMethod", self.voice_fallback_method, &mut fields.voice_fallback_method),
            ("StatusCallbackMethod", self.status_callback_method, &mut fields.status_callback_method),
            ("SmsMethod", self.sms_method, &mut fields.sms_method),
            ("SmsFallbackMethod", self.sms_fallback_method, &mut fields.sms_fallback_method),
        ];
        for (name, said, field) in methods {
            if let Some(text) = said {
                *field =
                    text.parse::<Method>().map_err(|error: Unknown| Failed::invalid(format!("{name}: {error}")))?;
            }
        }
        if let Some(is) = self.voice_caller_id_lookup {
            fields.voice_caller_id_lookup = is;
        }
        Ok(())
    }
}

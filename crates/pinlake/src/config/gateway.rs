//! `gateway`: what stands before the doors. Plain data; keys are named here, and read once the server starts.

use std::collections::HashSet;

use anyhow::{Context, Result, bail};
use pinlake_core::pipeline::units::Span;
use pinlake_ingest::{ApiKey, GatewaySettings, Period, Quota, Throttle, UsagePlan};
use serde::Deserialize;

use super::{SecretRef, Senseless};

/// More keys than anybody hands out by a file; the same for plans and origins.
const ENTRIES_MAX: usize = 1000;

const KEYS: &str = "gateway.keys";
const PLANS: &str = "gateway.plans";
const CORS: &str = "gateway.cors";

/// The gateway, as configured.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct GatewayConfig {
    keys: Vec<ApiKeyConfig>,
    plans: Vec<PlanConfig>,
    /// 0: as many requests as come.
    rate: f64,
    burst: u32,
    pub(crate) cors: Vec<String>,
    timeout: Span,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ApiKeyConfig {
    name: String,
    key: SecretRef,
    #[serde(default)]
    plan: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct PlanConfig {
    name: String,
    #[serde(default)]
    rate: f64,
    #[serde(default)]
    burst: u32,
    #[serde(default)]
    quota: Option<u64>,
    #[serde(default)]
    period: PeriodConfig,
}

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PeriodConfig {
    #[default]
    Day,
    Week,
    Month,
}

impl GatewayConfig {
    /// Reads the keys.
    pub(crate) fn settings(&self) -> Result<GatewaySettings> {
        let keys: Vec<ApiKey> = self.keys.iter().map(ApiKeyConfig::resolve).collect::<Result<_>>()?;
        let mut known = HashSet::new();
        if let Some(twice) = keys.iter().find(|key| !known.insert(key.key.expose())) {
            bail!("the API key of '{}' is another's too: give each a key of its own", twice.name);
        }
        Ok(GatewaySettings {
            plans: self.plans.iter().map(PlanConfig::settings).collect(),
            throttle: throttle(self.rate, self.burst),
            cors: self.cors.clone(),
            timeout: self.timeout.0,
            keys,
        })
    }

    /// Settings with which nothing could work.
    pub(super) fn senseless(&self) -> Vec<Senseless> {
        let names: Vec<&str> = self.keys.iter().map(|key| key.name.as_str()).collect();
        let plans: Vec<&str> = self.plans.iter().map(|plan| plan.name.as_str()).collect();
        let unknown = self.keys.iter().filter_map(|key| key.plan.as_deref()).find(|plan| !plans.contains(plan));
        let entries = "1000 at most";
        let rules: [(&'static str, Option<&'static str>, bool, String); 10] = [
            (KEYS, None, self.keys.len() <= ENTRIES_MAX, entries.to_owned()),
            (KEYS, None, are_own(&names), "a name of its own for each".to_owned()),
            (
                KEYS,
                Some(PLANS),
                unknown.is_none(),
                format!("plans of gateway.plans, and '{}' is none of them", unknown.unwrap_or_default()),
            ),
            (PLANS, None, self.plans.len() <= ENTRIES_MAX, entries.to_owned()),
            (PLANS, None, are_own(&plans), "a name of its own for each".to_owned()),
            (PLANS, None, self.plans.iter().all(|plan| is_rate(plan.rate)), "a rate of 0 or more for each".to_owned()),
            ("gateway.rate", None, is_rate(self.rate), "0, for no limit, or requests a second".to_owned()),
            (CORS, None, self.cors.len() <= ENTRIES_MAX, entries.to_owned()),
            (
                CORS,
                None,
                self.cors.iter().all(|origin| is_origin(origin)),
                "origins such as https://app.example, or *".to_owned(),
            ),
            ("gateway.timeout", None, self.timeout.0.as_secs() <= 3600, "1h at most, or 0s for no limit".to_owned()),
        ];
        rules.into_iter().filter(|(_, _, holds, _)| !holds).map(|(key, beside, _, takes)| (key, beside, takes)).collect()
    }
}

impl ApiKeyConfig {
    fn resolve(&self) -> Result<ApiKey> {
        let key = self.key.resolve().with_context(|| format!("the API key of '{}'", self.name))?;
        Ok(ApiKey { name: self.name.clone(), key, plan: self.plan.clone() })
    }
}

impl PlanConfig {
    fn settings(&self) -> UsagePlan {
        let period = match self.period {
            PeriodConfig::Day => Period::Day,
            PeriodConfig::Week => Period::Week,
            PeriodConfig::Month => Period::Month,
        };
        let quota = self.quota.map(|limit| Quota { limit, period });
        UsagePlan { name: self.name.clone(), throttle: throttle(self.rate, self.burst), quota }
    }
}

/// No rate is no limit; no burst is that of one second.
fn throttle(rate: f64, burst: u32) -> Option<Throttle> {
    let of_a_second = rate.ceil().clamp(1.0, f64::from(u32::MAX)) as u32;
    (rate > 0.0).then_some(Throttle { rate, burst: if burst == 0 { of_a_second } else { burst } })
}

fn is_rate(rate: f64) -> bool {
    rate.is_finite() && rate >= 0.0
}

fn are_own(names: &[&str]) -> bool {
    let mut known = HashSet::new();
    names.iter().all(|name| !name.is_empty() && known.insert(name))
}

/// Scheme, host and port, as browsers say it.
fn is_origin(text: &str) -> bool {
    text == "*"
        || reqwest::Url::parse(text).is_ok_and(|url| url.origin().is_tuple() && url.origin().ascii_serialization() == text)
}

//! Admission: is there room for one more call, decided before anything is
//! remembered about it.
//!
//! Per tenant a token bucket (how many calls a second) and a ceiling (how many
//! at once); over all a ceiling of which a share is reserved for clinical
//! numbers. A tenant's own clinical calls may go beyond its ceiling by as much,
//! so that a flood of patients or a robot on one hospital's line never keeps a
//! clinician out, its own neither.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use desk::TenantId;

/// How much one tenant, and everybody together, may use.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// New calls a second that a tenant may sustain.
    pub calls_per_second: f64,
    /// How many calls may come at once after a quiet time.
    pub burst: f64,
    /// Calls in progress, per tenant.
    pub calls_per_tenant_max: u32,
    /// Calls in progress, all tenants together.
    pub calls_max: u32,
    /// Of `calls_max`, how many only clinical numbers may use.
    pub clinical_reserve: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            calls_per_second: 200.0,
            burst: 400.0,
            calls_per_tenant_max: 2_000,
            calls_max: 4_000,
            clinical_reserve: 200,
        }
    }
}

/// Why a call isn't admitted. What the trunk hears because of it is that
/// trunk's setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refused {
    /// The tenant's calls come too fast.
    TenantRate,
    /// The tenant has too many calls in progress.
    TenantCeiling,
    /// Careline has too many calls in progress.
    Ceiling,
    /// Careline is shutting down and takes no new calls.
    Draining,
}

/// The live figures of admission. One per shard.
#[derive(Debug)]
pub struct Admission {
    limits: Limits,
    tenants: HashMap<TenantId, Tenant>,
    calls: u32,
    draining: bool,
}

#[derive(Debug)]
struct Tenant {
    tokens: f64,
    filled_at: Duration,
    calls: u32,
}

/// The right to one call in progress; given back by [`Admission::release`].
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an admitted call is counted until it is released"]
pub struct Permit {
    tenant: TenantId,
    /// The trunk that the call has come by, one of whose calls it takes.
    pub(crate) trunk: Option<Arc<str>>,
}

impl Admission {
    /// Nothing in progress, every bucket full.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            tenants: HashMap::new(),
            calls: 0,
            draining: false,
        }
    }

    /// From now on no new call is admitted; those in progress go on.
    pub fn drain(&mut self) {
        self.draining = true;
    }

    /// Was [`drain`](Self::drain) called?
    pub fn is_draining(&self) -> bool {
        self.draining
    }

    /// Calls in progress.
    pub fn calls(&self) -> u32 {
        self.calls
    }

    /// May one more call of `tenant` come in? Clinical calls draw on the
    /// reserve and aren't held back by the tenant's rate: a bucket emptied by
    /// patients must not refuse a theatre.
    pub fn admit(
        &mut self,
        now: Duration,
        tenant: TenantId,
        clinical: bool,
    ) -> Result<Permit, Refused> {
        if self.draining {
            return Err(Refused::Draining);
        }
        let limits = self.limits;
        let ceiling = if clinical {
            limits.calls_max
        } else {
            limits.calls_max.saturating_sub(limits.clinical_reserve)
        };
        if self.calls >= ceiling {
            return Err(Refused::Ceiling);
        }
        let entry = self.tenants.entry(tenant).or_insert(Tenant {
            tokens: limits.burst,
            filled_at: now,
            calls: 0,
        });
        let elapsed = now.saturating_sub(entry.filled_at).as_secs_f64();
        entry.tokens = (entry.tokens + elapsed * limits.calls_per_second).min(limits.burst);
        entry.filled_at = now;
        let ceiling = if clinical {
            let max = limits.calls_per_tenant_max;
            max.saturating_add(limits.clinical_reserve)
        } else {
            limits.calls_per_tenant_max
        };
        if entry.calls >= ceiling {
            return Err(Refused::TenantCeiling);
        }
        if entry.tokens >= 1.0 {
            entry.tokens -= 1.0;
        } else if !clinical {
            return Err(Refused::TenantRate);
        }
        entry.calls += 1;
        self.calls += 1;
        Ok(Permit {
            tenant,
            trunk: None,
        })
    }

    /// The call is over.
    pub fn release(&mut self, permit: Permit) {
        self.calls = self.calls.saturating_sub(1);
        if let Some(tenant) = self.tenants.get_mut(&permit.tenant) {
            tenant.calls = tenant.calls.saturating_sub(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: TenantId = TenantId(1);
    const B: TenantId = TenantId(2);

    fn limits() -> Limits {
        Limits {
            calls_per_second: 10.0,
            burst: 5.0,
            calls_per_tenant_max: 8,
            calls_max: 12,
            clinical_reserve: 2,
        }
    }

    fn admitted(a: &mut Admission, at: f64, tenant: TenantId, clinical: bool, n: usize) -> usize {
        (0..n)
            .filter_map(|_| {
                a.admit(Duration::from_secs_f64(at), tenant, clinical)
                    .ok()
                    // The permit is kept by the call; these calls never end.
                    .map(std::mem::forget)
            })
            .count()
    }

    #[test]
    fn a_burst_empties_the_bucket_and_time_refills_it() {
        let mut a = Admission::new(limits());
        assert_eq!(admitted(&mut a, 0.0, A, false, 10), 5);
        assert_eq!(admitted(&mut a, 0.2, A, false, 10), 2);
    }

    #[test]
    fn one_tenants_flood_leaves_the_other_its_share() {
        let mut a = Admission::new(limits());
        assert_eq!(admitted(&mut a, 0.0, A, false, 100), 5);
        assert_eq!(admitted(&mut a, 0.0, B, false, 5), 5);
    }

    #[test]
    fn clinicians_use_the_reserve_and_are_not_rate_limited() {
        let mut a = Admission::new(limits());
        assert_eq!(admitted(&mut a, 0.0, A, false, 100), 5);
        assert_eq!(admitted(&mut a, 0.0, B, false, 100), 5);
        assert_eq!(a.calls(), 10);
        assert_eq!(
            a.admit(Duration::ZERO, B, false),
            Err(Refused::Ceiling),
            "what is left is reserved"
        );
        assert_eq!(admitted(&mut a, 0.0, A, true, 100), 2);
    }

    #[test]
    fn a_tenants_patients_never_keep_its_own_clinicians_out() {
        let mut a = Admission::new(limits());
        for second in 0..4 {
            admitted(&mut a, f64::from(second), A, false, 100);
        }
        assert_eq!(
            a.admit(Duration::from_secs(9), A, false),
            Err(Refused::TenantCeiling)
        );
        // Up to the reserve: the others' share stays theirs.
        assert_eq!(admitted(&mut a, 9.0, A, true, 100), 2);
        assert_eq!(
            a.admit(Duration::from_secs(9), A, true),
            Err(Refused::TenantCeiling)
        );
        assert_eq!(admitted(&mut a, 9.0, B, true, 100), 2);
    }

    #[test]
    fn released_calls_make_room_and_draining_refuses() {
        let mut a = Admission::new(limits());
        let permit = a.admit(Duration::ZERO, A, false).unwrap();
        a.release(permit);
        assert_eq!(a.calls(), 0);
        a.drain();
        assert_eq!(a.admit(Duration::ZERO, A, true), Err(Refused::Draining));
    }
}

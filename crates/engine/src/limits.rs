//! What one instance may use.

use std::sync::Arc;
use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::budget::{MemoryBudget, Reservation};
use crate::problem::{Limit, Problem};

/// Bytes that an element of a table costs the host.
const TABLE_ELEMENT_BYTES: usize = size_of::<usize>();

/// The limits of a function. Each is per instance, so with an instance that
/// serves several requests at once they are shared by those requests.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Bytes of all linear memories and tables together.
    pub memory: u64,
    /// CPU time of the guest and of what the host does on its behalf while the
    /// guest waits for it.
    pub cpu: Duration,
    /// Time from admission, queueing included, to the end of the answer.
    pub wall: Duration,
    /// Calls that run at once.
    pub concurrency: u32,
    /// Calls that wait for their turn at once.
    pub queue: u32,
    /// Bytes of a request's body.
    pub body: u64,
    /// Elements of all tables together.
    pub table_elements: u64,
    /// Handles (streams, bodies, fields, …) that a guest may hold at once.
    pub handles: usize,
    /// Bytes that one call of a host function may copy into the host.
    pub host_buffers: usize,
    /// Bytes of one set of header fields that a guest builds.
    pub headers: usize,
    /// Bytes that a command may write to its standard output.
    pub output: u64,
    /// Calls from function to function, one inside the other.
    pub call_depth: u8,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory: 128 << 20,
            cpu: Duration::from_secs(30),
            wall: Duration::from_secs(60),
            concurrency: 64,
            queue: 64,
            body: 8 << 20,
            table_elements: 1 << 20,
            handles: 4096,
            host_buffers: 4 << 20,
            headers: 128 << 10,
            output: 1 << 30,
            call_depth: 8,
        }
    }
}

/// A number of bytes as a Directive writes it, for messages.
pub fn format_bytes(bytes: u64) -> String {
    match bytes {
        b if b >= 1 << 30 && b % (1 << 30) == 0 => format!("{}Gi", b >> 30),
        b if b >= 1 << 20 && b % (1 << 20) == 0 => format!("{}Mi", b >> 20),
        b if b >= 1 << 10 && b % (1 << 10) == 0 => format!("{}Ki", b >> 10),
        b => b.to_string(),
    }
}

/// Sums the memories and tables of one instance and charges them to the node.
#[derive(Debug)]
pub(crate) struct Limiter {
    memory_limit: u64,
    table_limit: u64,
    memory: Reservation,
    table_elements: u64,
    refused: Option<Limit>,
    /// What was charged for the growth under way, which may fail all the same.
    charged: Charge,
}

/// A growth that was allowed.
#[derive(Clone, Copy, Debug, Default)]
struct Charge {
    bytes: u64,
    elements: u64,
}

impl Limiter {
    pub(crate) fn new(limits: &Limits, budget: &Arc<MemoryBudget>) -> Self {
        Self {
            memory_limit: limits.memory,
            table_limit: limits.table_elements,
            memory: budget.empty_reservation(),
            table_elements: 0,
            refused: None,
            charged: Charge::default(),
        }
    }

    /// Bytes in use.
    pub(crate) fn memory_in_use(&self) -> u64 {
        self.memory.bytes()
    }

    /// The growth that was refused last, as a problem. A guest that copes with
    /// a refusal never gets to see it.
    pub(crate) fn refusal(&self) -> Option<Problem> {
        let limit = self.refused?;
        Some(match limit {
            Limit::Tables => Problem::limit(
                limit,
                self.table_limit,
                format!(
                    "the function's tables may hold {} elements",
                    self.table_limit
                ),
            ),
            Limit::NodeMemory => {
                let budget = format_bytes(self.memory.budget().limit());
                let detail = format!(
                    "this node's memory budget of {budget} has no room for more of this app"
                );
                Problem::limit(limit, budget, detail)
            }
            _ => {
                let value = format_bytes(self.memory_limit);
                let detail = format!("the function may use {value} of memory");
                Problem::limit(Limit::Memory, value, detail)
            }
        })
    }

    /// For an instance that goes on to its next request.
    pub(crate) fn forget_refusal(&mut self) {
        self.refused = None;
    }

    fn grow(&mut self, by: usize) -> bool {
        if self.memory.bytes().saturating_add(by as u64) > self.memory_limit {
            self.refused = Some(Limit::Memory);
            return false;
        }
        if !self.memory.grow(by as u64) {
            self.refused = Some(Limit::NodeMemory);
            return false;
        }
        self.charged.bytes = by as u64;
        true
    }

    /// Takes back what was charged for a growth that then failed.
    fn take_back(&mut self) {
        let Charge { bytes, elements } = std::mem::take(&mut self.charged);
        self.memory.shrink(bytes);
        self.table_elements -= elements;
    }
}

impl ResourceLimiter for Limiter {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.charged = Charge::default();
        // Beyond the memory's own maximum the growth fails anyway: nothing to charge.
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        Ok(self.grow(desired.saturating_sub(current)))
    }

    fn memory_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(%error, "a guest's memory did not grow");
        self.take_back();
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        self.charged = Charge::default();
        let by = desired.saturating_sub(current);
        // First, because the pool's own bound comes as the table's maximum.
        if self.table_elements.saturating_add(by as u64) > self.table_limit {
            self.refused = Some(Limit::Tables);
            return Ok(false);
        }
        if maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        if !self.grow(by.saturating_mul(TABLE_ELEMENT_BYTES)) {
            return Ok(false);
        }
        self.table_elements += by as u64;
        self.charged.elements = by as u64;
        Ok(true)
    }

    fn table_grow_failed(&mut self, error: wasmtime::Error) -> wasmtime::Result<()> {
        tracing::debug!(%error, "a guest's table did not grow");
        self.take_back();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limiter(memory: u64, node: u64) -> Limiter {
        let limits = Limits {
            memory,
            table_elements: 100,
            ..Limits::default()
        };
        Limiter::new(&limits, &MemoryBudget::new(node))
    }

    #[test]
    fn memories_and_tables_are_summed() {
        let mut l = limiter(1000, u64::MAX);
        assert!(l.memory_growing(0, 600, None).expect("grows"));
        assert!(l.memory_growing(0, 300, None).expect("grows"));
        assert_eq!(l.memory_in_use(), 900);
        assert!(!l.table_growing(0, 13, None).expect("refuses"));
        assert_eq!(
            l.refusal().expect("a refusal").limit_reached(),
            Some(Limit::Memory)
        );
        assert!(l.table_growing(0, 12, None).expect("grows"));
        assert_eq!(l.memory_in_use(), 996);
    }

    #[test]
    fn exactly_the_limit_is_allowed() {
        let mut l = limiter(1000, u64::MAX);
        assert!(l.memory_growing(0, 1000, None).expect("grows"));
        assert!(!l.memory_growing(1000, 1001, None).expect("refuses"));
    }

    #[test]
    fn table_elements_have_a_limit_of_their_own() {
        let mut l = limiter(1 << 20, u64::MAX);
        assert!(l.table_growing(0, 60, None).expect("grows"));
        assert!(l.table_growing(0, 40, None).expect("grows"));
        // Also where the table could not be larger in any case.
        assert!(!l.table_growing(40, 41, Some(40)).expect("refuses"));
        assert_eq!(
            l.refusal().expect("a refusal").limit_reached(),
            Some(Limit::Tables)
        );
    }

    #[test]
    fn a_maximum_of_the_guests_own_is_not_our_refusal() {
        let mut l = limiter(1000, u64::MAX);
        assert!(!l.memory_growing(0, 600, Some(500)).expect("refuses"));
        assert!(!l.table_growing(0, 60, Some(50)).expect("refuses"));
        assert!(l.refusal().is_none());
        assert_eq!(l.memory_in_use(), 0);
        assert!(l.memory_growing(0, 500, Some(500)).expect("grows"));
        assert!(l.table_growing(0, 50, Some(50)).expect("grows"));
    }

    #[test]
    fn the_nodes_budget_is_told_apart() {
        let mut l = limiter(1000, 500);
        assert!(!l.memory_growing(0, 501, None).expect("refuses"));
        assert_eq!(
            l.refusal().expect("a refusal").limit_reached(),
            Some(Limit::NodeMemory)
        );
    }

    #[test]
    fn a_growth_that_fails_in_the_end_costs_nothing() {
        let error = || wasmtime::Error::msg("no address space");
        let mut l = limiter(1000, 1000);
        assert!(l.memory_growing(0, 400, None).expect("grows"));
        assert!(l.memory_growing(400, 900, None).expect("grows"));
        l.memory_grow_failed(error()).expect("copes");
        assert_eq!((l.memory_in_use(), l.memory.budget().used()), (400, 400));
        // It was taken back once; what was granted before stays.
        l.memory_grow_failed(error()).expect("copes");
        assert_eq!(l.memory_in_use(), 400);
        assert!(l.table_growing(0, 60, None).expect("grows"));
        l.table_grow_failed(error()).expect("copes");
        assert!(l.table_growing(0, 70, None).expect("grows"));
        assert_eq!(l.memory_in_use(), 400 + 70 * 8);
        assert!(!l.memory_growing(900, 1000, None).expect("refuses"));
        l.memory_grow_failed(error()).expect("copes");
        assert_eq!(l.memory_in_use(), 400 + 70 * 8);
    }

    #[test]
    fn a_table_that_its_own_maximum_refuses_takes_nothing_back() {
        let mut l = limiter(2000, u64::MAX);
        assert!(l.memory_growing(0, 400, None).expect("grows"));
        assert!(l.table_growing(0, 50, None).expect("grows"));
        assert!(!l.table_growing(50, 60, Some(50)).expect("refuses"));
        let error = wasmtime::Error::msg("more than its maximum");
        l.table_grow_failed(error).expect("copes");
        assert_eq!(l.memory_in_use(), 400 + 50 * 8);
        assert!(!l.table_growing(0, 51, None).expect("refuses"));
        assert!(l.table_growing(0, 50, None).expect("grows"));
    }

    #[test]
    fn a_refusal_says_which_limit_it_was_and_its_value() {
        let said = |l: &Limiter| l.refusal().expect("a refusal").to_string();
        let mut l = limiter(64 << 10, 32 << 10);
        assert!(!l.memory_growing(0, 1 << 20, None).expect("refuses"));
        assert_eq!(
            said(&l),
            "limit memory (64Ki): the function may use 64Ki of memory"
        );
        assert!(!l.table_growing(0, 101, None).expect("refuses"));
        assert_eq!(
            said(&l),
            "limit tables (100): the function's tables may hold 100 elements"
        );
        assert!(!l.memory_growing(0, 33 << 10, None).expect("refuses"));
        assert!(said(&l).starts_with("limit node-memory (32Ki): "));
    }

    #[test]
    fn what_nobody_sets_is_what_the_documentation_says() {
        let limits = Limits::default();
        assert_eq!((limits.memory, limits.body), (134_217_728, 8_388_608));
        assert_eq!((limits.cpu.as_secs(), limits.wall.as_secs()), (30, 60));
        assert_eq!((limits.concurrency, limits.queue), (64, 64));
        assert_eq!((limits.table_elements, limits.handles), (1_048_576, 4096));
        assert_eq!((limits.host_buffers, limits.headers), (4_194_304, 131_072));
        assert_eq!((limits.output, limits.call_depth), (1_073_741_824, 8));
    }

    #[test]
    fn a_refusal_is_remembered_until_the_next_request() {
        let mut l = limiter(1000, u64::MAX);
        assert!(!l.memory_growing(0, 1001, None).expect("refuses"));
        // A guest that fails takes a little more memory on its way down.
        assert!(l.memory_growing(0, 10, None).expect("grows"));
        assert!(l.refusal().is_some());
        l.forget_refusal();
        assert!(l.refusal().is_none());
    }

    #[test]
    fn bytes_are_written_as_in_a_directive() {
        for (bytes, text) in [
            (0, "0"),
            (1023, "1023"),
            (1024, "1Ki"),
            (1536, "1536"),
            (1 << 20, "1Mi"),
            (128 << 20, "128Mi"),
            (1 << 30, "1Gi"),
            (4 << 30, "4Gi"),
            ((4 << 30) + 1024, "4194305Ki"),
        ] {
            assert_eq!(format_bytes(bytes), text);
        }
    }
}

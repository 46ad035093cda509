//! How Wasmtime is set up.

use std::num::NonZeroUsize;
use std::path::Path;

use wasmtime::{Config, InstanceAllocationStrategy, PoolingAllocationConfig};

/// Address space kept for each linear memory. With all of a 32-bit memory
/// reserved, the compiler leaves bounds checks to the memory management unit;
/// with less they cost 1.2 to 1.8 times the run time.
const MEMORY_RESERVATION: u64 = 4 << 30;
/// Unmapped space behind each memory, for accesses with a constant offset.
const MEMORY_GUARD: u64 = 32 << 20;
/// What the stack of a guest may take, in bytes.
pub(crate) const GUEST_STACK: usize = 512 << 10;
/// What the stack of a guest and of the host functions it calls may take.
const ASYNC_STACK: usize = 1 << 20;
/// What of a stack stays resident for its next user at most: most calls use no more,
/// and zeroing that costs less than its page faults would.
const STACK_KEEP_RESIDENT: usize = 32 << 10;

/// Where the address space has no room for so many instances, there is no pool.
const SMALLEST_POOL: u32 = 16;

/// Tables for each instance.
pub(crate) const TABLES: usize = 4;

/// How the node wants the engine.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Bytes that all instances and host buffers may use together.
    pub memory_budget: u64,
    /// Instances that may live at once, if the address space has room for them.
    /// Each reserves 4 GiB of addresses, no memory.
    pub instances: u32,
    /// Slots that wait for another instance of the function that they had last.
    pub warm_slots: u32,
    /// Bytes of a slot that stay resident when its instance is gone, at most. The slots
    /// that were in use at once keep so much each, for good, and no budget counts it.
    pub keep_resident: usize,
    /// Threads for guests that need long, and as many for bringing code into memory.
    pub threads: usize,
    /// Bytes of compiled code in memory: when there is more, what was not called for
    /// longest and does not run goes, and comes back when it is called.
    pub code: u64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_budget: 1 << 30,
            instances: 2048,
            warm_slots: 128,
            keep_resident: 1152 << 10,
            code: 128 << 20,
        }
    }
}

/// The part of the configuration that compiled artefacts depend on. The compiler
/// and the engine must agree on it to the letter.
pub fn base_config() -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        .wasm_component_model_async(true)
        .epoch_interruption(true)
        .memory_reservation(MEMORY_RESERVATION)
        .memory_guard_size(MEMORY_GUARD)
        .memory_init_cow(true)
        .generate_address_map(true)
        .wasm_backtrace_max_frames(NonZeroUsize::new(32))
        .max_wasm_stack(GUEST_STACK)
        .async_stack_size(ASYNC_STACK)
        // A tenant must not find the last one's words on its stack.
        .async_stack_zeroing(true);
    config
}

/// How instances get their memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// From a pool of so many slots.
    Pooling {
        /// Instances that may live at once.
        instances: u32,
        /// Whether the kernel is asked which pages a tenant changed, rather
        /// than resetting a fixed part of each slot.
        pagemap_scan: bool,
    },
    /// Each on its own, because the address space is too small for a pool.
    OnDemand,
}

/// Finds the largest pool that the address space has room for.
pub(crate) fn build_engine(
    settings: &Settings,
) -> wasmtime::Result<(wasmtime::Engine, Allocation)> {
    let pagemap_scan = swap_is_impossible(Path::new("/proc/swaps"))
        && PoolingAllocationConfig::is_pagemap_scan_available();
    let wanted = settings.instances.max(1);
    let mut instances = wanted;
    while instances >= wanted.min(SMALLEST_POOL) {
        let mut config = base_config();
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(
            settings,
            instances,
            pagemap_scan,
        )));
        match wasmtime::Engine::new(&config) {
            Ok(engine) => {
                let allocation = Allocation::Pooling {
                    instances,
                    pagemap_scan,
                };
                return Ok((engine, allocation));
            }
            Err(error) => {
                tracing::debug!(instances, %error, "no room for the pool, trying half");
                instances /= 2;
            }
        }
    }
    let engine = wasmtime::Engine::new(&base_config())?;
    Ok((engine, Allocation::OnDemand))
}

/// Instances of modules that one of a component may be made of: adapters and shims are some, too.
const CORE_INSTANCES: u32 = 64;

/// What stays resident of the parts of a slot, in bytes.
#[derive(Debug, PartialEq, Eq)]
struct Kept {
    stack: usize,
    table: usize,
    memory: usize,
}

impl Kept {
    /// Divides what a slot may keep. Where the kernel does not tell which pages were
    /// changed, all of what is kept is zeroed each time, and tables are not worth as much.
    fn of(slot: usize, pagemap_scan: bool) -> Self {
        let stack = STACK_KEEP_RESIDENT.min(slot / 4);
        let table = (slot / 32).min(if pagemap_scan { 25 << 10 } else { 16 << 10 });
        Self {
            stack,
            table,
            memory: slot - stack - TABLES * table,
        }
    }
}

fn pool(settings: &Settings, instances: u32, pagemap_scan: bool) -> PoolingAllocationConfig {
    let kept = Kept::of(settings.keep_resident, pagemap_scan);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        // As many as all may have: nothing is kept ready for them.
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES))
        .total_memories(instances)
        .total_tables(instances.saturating_mul(TABLES as u32))
        .total_stacks(instances)
        .max_memory_size(MEMORY_RESERVATION as usize)
        .table_elements(1 << 20)
        .max_core_instances_per_component(CORE_INSTANCES)
        .max_memories_per_component(16)
        .max_memories_per_module(16)
        .max_tables_per_component(32)
        .max_tables_per_module(32)
        .max_component_instance_size(4 << 20)
        .max_core_instance_size(4 << 20)
        .max_unused_warm_slots(settings.warm_slots.min(instances))
        .async_stack_keep_resident(kept.stack)
        .linear_memory_keep_resident(kept.memory)
        .table_keep_resident(kept.table)
        .pagemap_scan(if pagemap_scan {
            wasmtime::Enabled::Yes
        } else {
            wasmtime::Enabled::No
        })
        // At once, not in batches: the memory of an instance that is gone has left the
        // budget, and a batch on an idle node would wait for ever.
        .decommit_batch_size(1);
    pool
}

/// With swap, this version of Wasmtime's `PAGEMAP_SCAN` misses pages that a
/// tenant changed and the kernel then swapped out: they would reach the next
/// tenant. So it is used only where no swap device exists.
fn swap_is_impossible(swaps: &Path) -> bool {
    // The first line is a heading; each further one a device.
    std::fs::read_to_string(swaps).is_ok_and(|text| text.lines().count() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_keeps_no_more_than_it_may() {
        for slot in [0, 1, 4096, 128 << 10, 1152 << 10, 64 << 20] {
            for pagemap_scan in [false, true] {
                let kept = Kept::of(slot, pagemap_scan);
                assert_eq!(kept.stack + TABLES * kept.table + kept.memory, slot);
            }
        }
        let kept = Kept {
            stack: 32 << 10,
            table: 25 << 10,
            memory: 1020 << 10,
        };
        assert_eq!(Kept::of(1152 << 10, true), kept);
    }

    #[test]
    fn a_swap_device_or_an_unreadable_list_forbids_page_map_scans() {
        let dir = std::env::temp_dir().join(format!("strand-swaps-{}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a temporary folder");
        let file = dir.join("swaps");
        let heading = "Filename\tType\tSize\tUsed\tPriority\n";
        std::fs::write(&file, heading).expect("writes");
        assert!(swap_is_impossible(&file));
        std::fs::write(&file, format!("{heading}/dev/sda2 partition 1 0 -2\n")).expect("writes");
        assert!(!swap_is_impossible(&file));
        assert!(!swap_is_impossible(&dir.join("absent")));
        std::fs::remove_dir_all(&dir).expect("removes");
    }
}

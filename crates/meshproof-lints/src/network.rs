//! Whether a network policy may keep callers away before any proxy sees them: a witness of a hole must get through the
//! network too.

use meshproof_ir::{Capture, Workload, WorkloadId};
use meshproof_network::{End, Flow, Passage};
use meshproof_resources::Transport;

use crate::Context;
use crate::tunnels::TUNNEL;

/// Whether any network policy may have a say in what the pods receive. For witnesses whose caller may be anywhere, it
/// is enough to know that one is in the way: nothing is then claimed for certain.
pub(crate) fn may_be_shielded(ctx: &Context<'_>, workload: &Workload) -> bool {
    ctx.workload_id(workload).is_none_or(|id| ctx.network().restricts_receiver(id))
}

/// Whether network policies stop, or may stop, a connection between two workloads: on the port of tunnels where that is
/// what clients open there, else on the port of the pods.
pub(crate) fn may_be_stopped(ctx: &Context<'_>, client: WorkloadId, server: WorkloadId, port: u16) -> bool {
    let tunnelled = ctx.mesh.workload(server).capture.is(&Capture::Ambient);
    let passes = |port: u16| {
        let flow =
            Flow { from: End::Workload(client), to: End::Workload(server), protocol: Transport::Tcp, port };
        ctx.network().verdict(&flow).passage() == Passage::Allowed
    };
    !passes(if tunnelled { TUNNEL } else { port })
}

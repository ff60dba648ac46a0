//! Vectors of whole meshes: a `mesh` line sets the scene, the lines behind it ask about its pods.

use std::cell::{OnceCell, RefCell};
use std::collections::HashMap;

use meshproof_authz::{Policy, policy_of};
use meshproof_compiler::{Compiled, compile};
use meshproof_ir::{BuildOptions, ClusterId, Mesh, WorkloadId};
use meshproof_resources::Decoded;
use meshproof_source::SourceId;
use meshproof_transport::Transport;
use serde_json::{Value, json};

use super::sets::Sets;
use super::{Outcome, Replay, chains, gateways, server, transport, waypoints, ztunnel};

/// Replays the lines that ask about pods. The objects are written as JSON and read like any manifest; MeshConfig comes
/// as the ConfigMap of istiod.
#[derive(Default)]
pub(super) struct Meshes {
    name: String,
    scene: Option<Scene>,
    /// Lines of earlier meshes that sets told.
    told_by_sets: u64,
}

/// One mesh and the way to its pods.
pub(super) struct Scene {
    pub(super) mesh: Mesh,
    pods: HashMap<String, WorkloadId>,
    compiled: OnceCell<Compiled>,
    /// What sets of requests say of its policies.
    pub(super) sets: RefCell<Sets>,
}

impl Replay for Meshes {
    fn line(&mut self, kind: &str, line: &Value) -> Outcome {
        let ask: fn(&Scene, &Value) -> Result<Outcome, String> = match kind {
            "mesh" => return self.build(line).map_or_else(Outcome::Failed, |()| Outcome::Scene),
            "server" => server::replay,
            "client" => transport::replay_client,
            "call" => transport::replay_call,
            "gateway" => gateways::replay,
            "authz" => chains::replay,
            "workload" | "pod-authz" => ztunnel::replay_policies,
            "conn" => ztunnel::replay_connection,
            "uses-waypoint" => waypoints::replay_use,
            "waypoint-authz" => waypoints::replay_waypoint,
            "gateway-authz" => waypoints::replay_gateway,
            "ingress-through" => waypoints::replay_ingress,
            _ => return Outcome::Unknown,
        };
        match &self.scene {
            Some(scene) if line["mesh"].as_str() == Some(&self.name) => {
                ask(scene, line).unwrap_or_else(Outcome::Failed)
            }
            _ => Outcome::Failed(format!("the objects of mesh {} are missing", line["mesh"])),
        }
    }

    fn told_by_sets(&self) -> u64 {
        self.told_by_sets + self.scene.as_ref().map_or(0, |scene| scene.sets.borrow().told)
    }
}

impl Meshes {
    fn build(&mut self, line: &Value) -> Result<(), String> {
        self.told_by_sets = self.told_by_sets();
        self.scene = None;
        self.name = line["mesh"].as_str().unwrap_or_default().to_owned();
        let root = line["meshConfig"]["rootNamespace"].as_str().unwrap_or("istio-system");
        let config = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": { "name": "istio", "namespace": root },
            "data": { "mesh": line["meshConfig"].to_string() },
        });
        let objects = line["objects"].as_array().ok_or("the mesh has no objects")?;
        self.scene = Some(Scene::new(objects.iter().chain([&config]))?);
        Ok(())
    }
}

impl Scene {
    /// A mesh of these objects.
    pub(super) fn new<'v>(objects: impl IntoIterator<Item = &'v Value>) -> Result<Scene, String> {
        let mut decoded = Decoded::default();
        for (at, object) in objects.into_iter().enumerate() {
            let text = object.to_string();
            let source = SourceId(u32::try_from(at).map_err(|_| "too many objects")?);
            let parsed = meshproof_yaml::parse(source, &text, 0..text.len());
            let tree =
                parsed.tree.ok_or_else(|| format!("an object cannot be read: {:?}", parsed.problems))?;
            meshproof_resources::decode(tree.root(), &mut decoded);
        }
        let inputs = decoded.resources.into_iter().map(Into::into).collect();
        let mesh = Mesh::build(inputs, &BuildOptions::default());
        let pods = mesh.workloads_with_ids().map(|(id, _)| (mesh.workload_display(id), id)).collect();
        Ok(Scene { mesh, pods, compiled: OnceCell::new(), sets: RefCell::default() })
    }

    /// The filters of every proxy.
    pub(super) fn compiled(&self) -> &Compiled {
        self.compiled.get_or_init(|| compile(&self.mesh))
    }

    /// The AuthorizationPolicies at a pod.
    pub(super) fn policies(&self, id: WorkloadId) -> Vec<Policy<'_>> {
        let mesh = &self.mesh;
        mesh.workload(id).policies.iter().filter_map(|attached| policy_of(mesh, attached.policy)).collect()
    }

    /// Who speaks what to whom in it.
    pub(super) fn transport(&self) -> Transport<'_> {
        Transport::new(&self.mesh)
    }

    /// The cluster of a pod.
    pub(super) fn cluster(&self, id: WorkloadId) -> ClusterId {
        self.mesh.namespace(self.mesh.workload(id).namespace).cluster
    }

    /// A pod by `namespace/name`.
    pub(super) fn pod(&self, name: &Value) -> Result<WorkloadId, String> {
        let id = name.as_str().and_then(|name| self.pods.get(name));
        id.copied().ok_or_else(|| format!("the mesh has no pod {name}"))
    }
}

/// Compares what was recorded with what we say; `what` names the question.
pub(super) fn compare(what: &str, line: &Value, recorded: &Value, said: &Value) -> Outcome {
    if recorded == said {
        return Outcome::Passed;
    }
    Outcome::Failed(format!("mesh {}, {what}: recorded {recorded}, said {said}", line["mesh"]))
}

/// A port number.
pub(super) fn port(value: &Value) -> Result<u16, String> {
    value.as_u64().and_then(|port| u16::try_from(port).ok()).ok_or_else(|| format!("{value} is no port"))
}

//! `ineffective-injection`: labels and annotations that look as if they put pods into the mesh, and do not
//! (mutual-TLS reference §4.1, §4.3, §11.3 ST04 and ST05).

use meshproof_diagnostics::{Category, Confidence, Finding, Label, Level};
use meshproof_ir::{Capture, Namespace, ResourceId, Workload};
use meshproof_resources::{Meta, Spec, Text};
use meshproof_source::Span;

use crate::Context;

const ID: &str = "ineffective-injection";
const INJECT: &str = "sidecar.istio.io/inject";
const INJECTION: &str = "istio-injection";
const REVISION: &str = "istio.io/rev";
const DATAPLANE_MODE: &str = "istio.io/dataplane-mode";

/// Runs the lint.
pub(crate) fn check(ctx: &Context<'_>) -> Vec<Finding> {
    let namespaces =
        ctx.mesh.namespaces.iter().filter_map(|namespace| Some((namespace, namespace.resource?)));
    let mut findings: Vec<Finding> =
        namespaces.flat_map(|(namespace, id)| of_namespace(ctx, namespace, id)).collect();
    for workload in &ctx.mesh.workloads {
        let Some(mut finding) = of_workload(ctx, workload) else { continue };
        // A patch may add the label.
        if ctx.is_incomplete(workload.namespace) {
            finding.level = Level::Info;
        }
        findings.push(finding);
    }
    findings
}

fn warning(meta: &Meta, category: Category, message: String, span: Span, label: &str) -> Finding {
    Finding::new(ID, Level::Warning, category, message, Label::new(span, label))
        .with_resource(meta.resource_name())
        .with_confidence(Confidence::Medium)
}

fn of_namespace(ctx: &Context<'_>, namespace: &Namespace, id: ResourceId) -> Vec<Finding> {
    let meta = &ctx.resource(id).meta;
    let label = |key: &str| meta.labels.get(key);
    let mut findings = Vec::new();
    if let Some(choice) = label(INJECTION).filter(|choice| !is_choice(choice)) {
        findings.push(odd_choice(meta, choice));
    }
    if let Some(mode) = label(DATAPLANE_MODE).filter(|mode| !matches!(&*mode.value, "ambient" | "none")) {
        let message =
            format!("namespace {} is not ambient: {DATAPLANE_MODE} is `{}`", meta.name(), mode.value);
        findings.push(
            warning(meta, Category::Hole, message, mode.span, "only the value `ambient` has an effect")
                .with_help("write `ambient`")
                .with_edit(ctx.inner(mode.span), "ambient"),
        );
    }
    for key in [INJECTION, DATAPLANE_MODE] {
        if let Some(note) = meta.annotations.get(key).filter(|_| label(key).is_none()) {
            let message =
                format!("namespace {} is not put into the mesh: {key} is an annotation", meta.name());
            let text = "only the label of this name counts";
            findings.push(
                warning(meta, Category::Hole, message, note.span, text)
                    .with_help(format!("move {key} to metadata.labels")),
            );
        }
    }
    findings.extend(both(meta, label(INJECTION), label(REVISION), label(DATAPLANE_MODE), namespace));
    findings
}

fn is_choice(choice: &Text) -> bool {
    matches!(choice.value.as_str(), "enabled" | "disabled")
}

/// Any value but `enabled` keeps sidecars out, also those that pods ask for.
fn odd_choice(meta: &Meta, choice: &Text) -> Finding {
    let message = format!(
        "no sidecar is injected in namespace {}: {INJECTION} is `{}`, and only `enabled` counts",
        meta.name(),
        choice.value
    );
    let finding = warning(meta, Category::Hole, message, choice.span, "means the same as `disabled`");
    finding.with_help("write `enabled` or `disabled`")
}

/// Two labels that ask for different things.
fn both(
    meta: &Meta,
    injection: Option<&Text>,
    revision: Option<&Text>,
    mode: Option<&Text>,
    namespace: &Namespace,
) -> Option<Finding> {
    // What is switched off is no second wish.
    let injection = match injection {
        Some(choice) if choice.value == "enabled" => Some(choice),
        Some(_) => return None,
        None => None,
    };
    let name = namespace.name.as_deref().unwrap_or_default();
    if let (Some(injection), Some(revision)) = (injection, revision.filter(|label| label.value != "default"))
    {
        let message = format!("{REVISION} of namespace {name} has no effect: {INJECTION} comes before it");
        let finding = warning(meta, Category::Conflict, message, revision.span, "not looked at");
        return Some(
            finding.with_related(injection.span, "decides alone").with_help("keep one of the two labels"),
        );
    }
    let (sidecars, mode) = injection.or(revision).zip(mode.filter(|mode| mode.value == "ambient"))?;
    let message = format!(
        "namespace {name} asks for sidecars and for ambient mode; pods with a sidecar are not ambient"
    );
    let text = "holds only for pods without a sidecar";
    Some(
        warning(meta, Category::Conflict, message, mode.span, text)
            .with_related(sidecars.span, "sidecars are injected")
            .with_help("keep one of the two labels"),
    )
}

/// Pods that ask for a sidecar where nobody looks.
fn of_workload(ctx: &Context<'_>, workload: &Workload) -> Option<Finding> {
    let resource = ctx.resource(workload.resource);
    let Spec::Workload(spec) = &resource.spec else { return None };
    let template = spec.template.as_ref()?;
    let outside = workload.capture.is(&Capture::None) && !workload.host_network;
    if template.labels.get(INJECT).is_some() || !outside {
        return None;
    }
    let name = ctx.workload_name(workload);
    let says_yes = |text: &&Text| text.value == "true";
    if let Some(note) = template.annotations.get(INJECT).filter(says_yes) {
        let message =
            format!("{name} gets no sidecar: {INJECT} is an annotation, and nothing else asks for one");
        let text = "the webhook is called for labels only";
        return Some(
            warning(&resource.meta, Category::Hole, message, note.span, text)
                .with_help(format!("make {INJECT} a label of the pod template, or label the namespace")),
        );
    }
    // A Pod is its own template.
    let own = resource.meta.labels.get(INJECT).filter(says_yes)?;
    let kind = &resource.meta.kind.value;
    let message = format!("{name} gets no sidecar: {INJECT} is a label of the {kind}, not of its pods");
    Some(
        warning(&resource.meta, Category::Hole, message, own.span, "pods do not have it")
            .with_help("move the label to the pod template"),
    )
}

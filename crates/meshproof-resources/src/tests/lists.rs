use super::Case;
use crate::Kind;

fn names(case: &Case) -> Vec<String> {
    case.decoded.resources.iter().map(|resource| resource.meta.resource_name().to_string()).collect()
}

#[test]
fn lists_of_every_form() {
    let list = Case::new(
        "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Namespace, metadata: {name: a}}\n- apiVersion: v1\n  kind: List\n  items:\n  - {apiVersion: v1, kind: ServiceAccount, metadata: {name: b, namespace: a}}\n- {apiVersion: example.com/v1, kind: Thing}\n",
    );
    assert_eq!(names(&list), ["Namespace a", "ServiceAccount a/b"]);
    assert_eq!(list.decoded.unknown_kinds.get(&("example.com".to_owned(), "Thing".to_owned())), Some(&1));
    assert_eq!(
        list.snippet(list.decoded.resources[0].meta.span),
        "{apiVersion: v1, kind: Namespace, metadata: {name: a}}"
    );

    let typed = Case::new(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicyList\nitems:\n- metadata: {name: a}\n  spec: {action: DENY}\n- {kind: PeerAuthentication, metadata: {name: b}}\n",
    );
    assert_eq!(names(&typed), ["AuthorizationPolicy a", "PeerAuthentication b"]);
    let meta = &typed.decoded.resources[0].meta;
    assert_eq!(
        typed.tokens([&meta.api_version, &meta.kind]),
        ["security.istio.io/v1", "AuthorizationPolicy"]
    );

    let json = Case::new(r#"[{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}, 5, []]"#);
    assert_eq!(names(&json), ["Namespace a"]);
    assert_eq!(json.decoded.not_objects.len(), 2);
    assert_eq!(json.snippet(json.decoded.not_objects[0].span), "5");
}

#[test]
fn lists_without_items_and_lists_too_deep() {
    for text in ["{apiVersion: v1, kind: List, items: null}", "{apiVersion: v1, kind: List, items: []}"] {
        let case = Case::new(text);
        assert!(case.decoded.resources.is_empty() && case.decoded.issues.is_empty());
    }
    for text in ["{apiVersion: v1, kind: List}", "{apiVersion: v1, kind: List, items: 5}"] {
        let case = Case::new(text);
        assert_eq!(case.decoded.issues[0].lint, "unreadable-list");
        assert_eq!(case.snippet(case.decoded.issues[0].span), "List");
    }
    // A kind of its own whose name happens to end in `List`.
    let case = Case::new("{apiVersion: example.com/v1, kind: AllowList, spec: {}}");
    assert_eq!(case.decoded.unknown_kinds.len(), 1);

    let mut text = "{apiVersion: v1, kind: Namespace}".to_owned();
    for _ in 0..20 {
        text = format!("{{apiVersion: v1, kind: List, items: [{text}]}}");
    }
    let case = Case::new(&text);
    assert!(case.decoded.resources.is_empty());
    assert_eq!(case.decoded.issues.len(), 1);
}

#[test]
fn what_is_no_object() {
    let values = Case::new("replicas: 3\nimage: {tag: x}\n");
    assert_eq!(
        values.decoded.not_objects[0].reason,
        "not a Kubernetes object: it has neither apiVersion nor kind"
    );
    assert_eq!(values.snippet(values.decoded.not_objects[0].span).trim(), "replicas: 3\nimage: {tag: x}");
    assert!(values.decoded.issues.is_empty());

    assert!(Case::new("# only a comment\n").decoded.not_objects.is_empty());
    assert_eq!(Case::new("just text").decoded.not_objects.len(), 1);

    // Half a type on something that is plainly an object is told aloud.
    let case = Case::new("kind: AuthorizationPolicy\nmetadata: {name: x}\n");
    assert_eq!(case.decoded.issues[0].lint, "incomplete-type");
    assert_eq!(case.snippet(case.decoded.issues[0].span), "AuthorizationPolicy");
    let case = Case::new("apiVersion: security.istio.io/v1\nmetadata: {name: x}\nspec: {}\n");
    assert_eq!(case.decoded.issues[0].lint, "incomplete-type");
    assert!(Case::new("kind: Something\nmetadata: {name: x}\n").decoded.issues.is_empty());
}

#[test]
fn versions_and_groups() {
    let case =
        Case::new("{apiVersion: security.istio.io/v1alpha1, kind: AuthorizationPolicy, metadata: {name: x}}");
    assert_eq!(case.decoded.resources.len(), 1);
    assert_eq!(case.decoded.issues[0].lint, "unknown-api-version");
    assert_eq!(case.snippet(case.decoded.issues[0].span), "security.istio.io/v1alpha1");
    assert_eq!(case.decoded.issues[0].help.as_deref(), Some("write `apiVersion: security.istio.io/v1`"));

    // Kinds of other groups are other kinds.
    for text in [
        "{apiVersion: serving.knative.dev/v1, kind: Service}",
        "{apiVersion: apps.openshift.io/v1, kind: DeploymentConfig}",
        "{apiVersion: rbac.istio.io/v1alpha1, kind: AuthorizationPolicy}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: app}}",
        "{apiVersion: v1, kind: ConfigMap, metadata: {name: istio}, data: {other: x}}",
    ] {
        let case = Case::new(text);
        assert!(case.decoded.resources.is_empty(), "{text}");
        assert_eq!(case.decoded.unknown_kinds.values().sum::<usize>(), 1, "{text}");
    }
    assert_eq!(Kind::of("networking.istio.io", "Gateway"), Some(Kind::Gateway));
    assert_eq!(Kind::of("gateway.networking.k8s.io", "Gateway"), Some(Kind::KubernetesGateway));
}

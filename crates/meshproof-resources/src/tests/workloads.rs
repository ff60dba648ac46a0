use super::{Case, spec};
use crate::{PortRef, Spec, Transport};

const TEMPLATE: &str = "template:\n  metadata:\n    labels: {app: web}\n    annotations: {sidecar.istio.io/inject: \"false\"}\n  spec:\n    serviceAccountName: runner\n    hostNetwork: true\n    securityContext: {runAsUser: 1000}\n    initContainers:\n    - name: proxy\n      restartPolicy: Always\n      image: i\n      ports: [{containerPort: 9000}]\n    containers:\n    - name: main\n      image: web:1\n      ports:\n      - containerPort: 8080\n        name: http\n      - {containerPort: 53, protocol: UDP}\n      - {name: broken}\n      securityContext: {runAsUser: 1337}\n      livenessProbe: {httpGet: {port: http}}\n      readinessProbe: {tcpSocket: {port: 8080}}\n      startupProbe: {exec: {command: [x]}}\n";

fn indent(text: &str, by: usize) -> String {
    text.lines().map(|line| format!("{}{line}\n", " ".repeat(by))).collect()
}

#[test]
fn the_template_of_every_kind_that_makes_pods() {
    let kinds = [
        ("apps/v1", "Deployment"),
        ("apps/v1beta1", "StatefulSet"),
        ("apps/v1", "DaemonSet"),
        ("extensions/v1beta1", "ReplicaSet"),
        ("batch/v1", "Job"),
        ("v1", "ReplicationController"),
        ("argoproj.io/v1alpha1", "Rollout"),
    ];
    let mut cases: Vec<Case> =
        kinds.iter().map(|(version, kind)| Case::spec(version, kind, &indent(TEMPLATE, 2))).collect();
    cases.push(Case::spec(
        "batch/v1",
        "CronJob",
        &format!("  jobTemplate:\n    spec:\n{}", indent(TEMPLATE, 6)),
    ));
    for case in cases {
        assert!(case.decoded.issues.is_empty(), "{:?}", case.decoded.issues);
        let template = spec!(case, Workload).template.as_ref().expect("template");
        assert_eq!(case.pairs(&template.labels), [("app", "web")]);
        assert_eq!(case.pairs(&template.annotations), [("sidecar.istio.io/inject", "false")]);
        assert_eq!(case.token(&template.service_account), "runner");
        assert!(template.host_network);
        let [main, proxy] = template.containers.as_slice() else { panic!("{:?}", template.containers) };
        assert_eq!((case.token(&main.name), case.token(&main.image)), ("main", "web:1"));
        assert!(!main.init && proxy.init && proxy.sidecar);
        let ports: Vec<_> = main
            .ports
            .iter()
            .map(|port| (port.number.value, case.snippet(port.number.span), port.protocol))
            .collect();
        assert_eq!(ports, [(8080, "8080", Transport::Tcp), (53, "53", Transport::Udp)]);
        assert_eq!(case.token(&main.ports[0].name), "http");
        assert_eq!(case.value(&main.run_as_user), (1337, "1337"));
        assert_eq!(case.value(&proxy.run_as_user), (1000, "1000"));
        let [(PortRef::Name(name), true), (PortRef::Number(number), false)] = main.probes.as_slice() else {
            panic!("{:?}", main.probes)
        };
        assert_eq!((name.value.as_str(), number.value), ("http", 8080));
        assert_eq!(case.one().partial(), None);
    }
}

#[test]
fn a_pod_is_its_own_template() {
    let case = Case::new(
        "apiVersion: v1\nkind: Pod\nmetadata:\n  name: p\n  labels: {app: p}\nspec:\n  serviceAccount: old\n  containers: [{name: c, image: i}]\n",
    );
    let template = spec!(case, Workload).template.as_ref().expect("template");
    assert_eq!(case.pairs(&template.labels), [("app", "p")]);
    assert_eq!(case.token(&template.service_account), "old");
    assert_eq!(template.span, case.one().meta.span);
}

#[test]
fn selectors_replicas_and_references() {
    let case = Case::spec("apps/v1", "Deployment", "  replicas: 3\n  selector: {matchLabels: {app: x}}\n");
    let workload = spec!(case, Workload);
    assert_eq!(case.value(&workload.replicas), (3, "3"));
    assert_eq!(case.pairs(&workload.selector), [("app", "x")]);
    assert_eq!(case.one().partial(), Some("it has no pod template"));

    let case = Case::spec("v1", "ReplicationController", "  selector: {app: x}\n");
    assert_eq!(case.pairs(&spec!(case, Workload).selector), [("app", "x")]);

    let case = Case::spec(
        "argoproj.io/v1alpha1",
        "Rollout",
        "  workloadRef: {apiVersion: apps/v1, kind: Deployment, name: d}\n",
    );
    let (kind, name) = spec!(case, Workload).workload_ref.as_ref().expect("reference");
    assert_eq!(case.tokens([kind, name]), ["Deployment", "d"]);
    assert_eq!(case.one().partial(), None);
}

#[test]
fn a_service() {
    let case = Case::spec(
        "v1",
        "Service",
        "  type: ClusterIP\n  clusterIP: None\n  selector: {app: x}\n  ports:\n  - port: 80\n    name: http\n    targetPort: web\n  - {port: 90, targetPort: 9090, appProtocol: grpc, protocol: UDP}\n  - {port: 99999}\n  - {name: none}\n",
    );
    let service = spec!(case, Service);
    assert!(service.headless);
    assert_eq!(case.token(&service.service_type), "ClusterIP");
    assert_eq!(case.pairs(&service.selector), [("app", "x")]);
    let [web, grpc] = service.ports.as_slice() else { panic!("{:?}", service.ports) };
    assert_eq!((web.port.value, case.snippet(web.port.span)), (80, "80"));
    assert!(matches!(&web.target, Some(PortRef::Name(name)) if case.snippet(name.span) == "web"));
    assert!(matches!(&grpc.target, Some(PortRef::Number(number)) if number.value == 9090));
    assert_eq!((case.token(&grpc.app_protocol), grpc.protocol), ("grpc", Transport::Udp));

    let case = Case::spec("v1", "Service", "  type: ExternalName\n  externalName: db.example\n");
    assert_eq!(case.token(&spec!(case, Service).external_name), "db.example");
    assert_eq!(case.one().partial(), None);
    assert!(Case::spec("v1", "Service", "  type: NodePort\n").one().partial().is_some());
}

#[test]
fn namespaces_accounts_and_metadata() {
    let case = Case::new(
        "apiVersion: v1\nkind: Namespace\nmetadata:\n  name: shop\n  creationTimestamp: \"2024-01-01T00:00:00Z\"\n  labels: {istio-injection: enabled}\n  annotations:\n    kubectl.kubernetes.io/last-applied-configuration: large\n    a: b\n",
    );
    let meta = &case.one().meta;
    assert_eq!(case.one().spec, Spec::Namespace);
    assert_eq!(
        (case.token(&meta.name), case.token(&meta.creation_timestamp)),
        ("shop", "2024-01-01T00:00:00Z")
    );
    assert_eq!(case.pairs(&meta.labels), [("istio-injection", "enabled")]);
    assert_eq!(case.pairs(&meta.annotations), [("a", "b")]);
    assert_eq!(case.tokens([&meta.api_version, &meta.kind]), ["v1", "Namespace"]);
    assert_eq!(Case::new("{apiVersion: v1, kind: ServiceAccount}").one().spec, Spec::ServiceAccount);
}

#[test]
fn a_fragment_with_a_patch_directive_is_no_object() {
    for text in [
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: x}\n$patch: delete\n",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: x, $patch: delete}\n",
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: x}\nspec: {$patch: delete}\n",
    ] {
        let case = Case::new(text);
        let patch = spec!(case, Patch);
        assert_eq!((case.snippet(patch.span), patch.directive.value.as_str()), ("$patch", "delete"));
        assert!(case.one().partial().is_some());
    }
}

use super::{Case, spec};
use crate::PortRef;

#[test]
fn an_ingress_of_each_version() {
    let case = Case::spec(
        "networking.k8s.io/v1",
        "Ingress",
        "  ingressClassName: nginx\n  defaultBackend: {service: {name: a, port: {number: 80}}}\n  rules:\n  - http:\n      paths:\n      - backend: {service: {name: b, port: {name: web}}}\n      - backend: {resource: {kind: Bucket, name: c}}\n  - host: x\n",
    );
    let ingress = spec!(case, Ingress);
    assert_eq!(case.token(&ingress.class), "nginx");
    assert_eq!(case.tokens(ingress.backends.iter().map(|backend| &backend.service)), ["a", "b"]);
    assert!(matches!(&ingress.backends[0].port, Some(PortRef::Number(port)) if port.value == 80));
    assert!(matches!(&ingress.backends[1].port, Some(PortRef::Name(name)) if name.value == "web"));
    let old = Case::new(
        "apiVersion: extensions/v1beta1\nkind: Ingress\nmetadata: {name: x, annotations: {kubernetes.io/ingress.class: traefik}}\nspec: {backend: {serviceName: a, servicePort: 80}}\n",
    );
    let ingress = spec!(old, Ingress);
    assert_eq!(old.token(&ingress.class), "traefik");
    assert_eq!(old.tokens(ingress.backends.iter().map(|backend| &backend.service)), ["a"]);
}

#[test]
fn services_that_the_api_server_calls() {
    let case = Case::new(
        "apiVersion: admissionregistration.k8s.io/v1\nkind: MutatingWebhookConfiguration\nmetadata: {name: x}\nwebhooks:\n- clientConfig: {url: 'https://x/'}\n- clientConfig: {service: {namespace: a, name: b, port: 8443}}\n- clientConfig: {service: {namespace: a, name: c}}\n",
    );
    let services = &spec!(case, ApiBackends).services;
    assert_eq!(case.tokens(services.iter().map(|service| &service.name)), ["b", "c"]);
    assert_eq!(case.value(&services[0].port), (8443, "8443"));
    assert!(services[1].port.is_none());
    let api = |service: &str| {
        let case = Case::spec("apiregistration.k8s.io/v1", "APIService", &format!("  group: g\n{service}"));
        spec!(case, ApiBackends).services.len()
    };
    assert_eq!(api("  service: {namespace: a, name: b}\n"), 1);
    assert_eq!(api("  service: null\n"), 0, "an API of the API server itself");
}

#[test]
fn monitors() {
    let case = Case::spec(
        "monitoring.coreos.com/v1",
        "ServiceMonitor",
        "  selector: {matchLabels: {app: x}}\n  namespaceSelector: {matchNames: [a, b]}\n  endpoints:\n  - {port: web, scheme: https}\n  - {targetPort: 8080}\n",
    );
    let monitor = spec!(case, Monitor);
    assert!(!monitor.of_pods && !monitor.any_namespace);
    assert_eq!(case.field("matchNames", &monitor.namespaces), ["a", "b"]);
    assert_eq!(case.token(&monitor.endpoints[0].port), "web");
    assert_eq!(case.token(&monitor.endpoints[0].scheme), "https");
    assert!(matches!(&monitor.endpoints[1].target, Some(PortRef::Number(port)) if port.value == 8080));
    let pods = Case::spec(
        "monitoring.coreos.com/v1",
        "PodMonitor",
        "  namespaceSelector: {any: true}\n  podMetricsEndpoints: [{portNumber: 9090}]\n",
    );
    let monitor = spec!(pods, Monitor);
    assert!(monitor.of_pods && monitor.any_namespace && monitor.endpoints[0].target.is_some());
}

#[test]
fn addresses_in_containers_are_kept_and_nothing_else() {
    let case = Case::new(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n  - name: a\n    env:\n    - {name: A, value: 'http://a/'}\n    - {name: B, value: plain}\n    - {name: C, valueFrom: {fieldRef: {fieldPath: status.podIP}}}\n    - {name: D, value: b.c.svc}\n    args: [--to, 'd:80', 'k: v']\n",
    );
    let pod = spec!(case, Workload).template.as_ref().expect("a pod");
    assert_eq!(case.tokens(&pod.containers[0].addresses), ["http://a/", "b.c.svc", "d:80"]);
    let others = Case::new(
        "apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n  containers:\n  - name: a\n    env:\n    - {name: NO_PROXY, value: 'a.b.svc'}\n    - {name: CORS_ORIGINS, value: 'http://a/'}\n    args: ['--allowed-hosts=a:80', --redirect-url, 'http://b/', '--to', 'c:80']\n",
    );
    let pod = spec!(others, Workload).template.as_ref().expect("a pod");
    assert_eq!(others.tokens(&pod.containers[0].addresses), ["c:80"]);
    let many: String = (0..200).map(|at| format!("    - 'http://a{at}/'\n")).collect();
    let long = format!("    - 'http://{}'\n", "a".repeat(5_000));
    let case = Case::new(&format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: x}}\nspec:\n  containers:\n  - name: a\n    args:\n{long}{many}"
    ));
    let pod = spec!(case, Workload).template.as_ref().expect("a pod");
    assert_eq!(pod.containers[0].addresses.len(), crate::MENTIONS);
    assert_eq!(pod.containers[0].addresses[0].value, "http://a0/");
}

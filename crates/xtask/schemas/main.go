// Command schemas writes the schema tables of the crate meshproof-resources.
//
// Custom resources come from the CRD manifests inside the published Go modules, built-in kinds from the Go types of
// k8s.io/api, kinds of Calico from its reference. The output holds names, types and limits only; see table.go for its
// form.
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"runtime/debug"
)

// Where the CRDs of a file come from. Versions are pinned so that two runs write the same bytes.
type source struct {
	output  string
	module  string
	version string
	files   []string
	kinds   map[string]bool
	// Facts of a later release than the module, applied to a kind's root.
	amend func(kind string, root map[string]any)
}

var sources = []source{
	{
		output: "security.istio.io", module: istioModule, version: istioVersion, files: []string{istioFile},
		kinds: set("AuthorizationPolicy", "PeerAuthentication", "RequestAuthentication"),
		amend: amendSecurity,
	},
	{
		output: "networking.istio.io", module: istioModule, version: istioVersion, files: []string{istioFile},
		kinds: set("DestinationRule", "EnvoyFilter", "Gateway", "ProxyConfig", "ServiceEntry", "Sidecar",
			"VirtualService", "WorkloadEntry", "WorkloadGroup"),
	},
	{
		output: "gateway.networking.k8s.io", module: "sigs.k8s.io/gateway-api", version: "v1.6.3",
		files: []string{
			"config/crd/experimental/gateway.networking.k8s.io_gatewayclasses.yaml",
			"config/crd/experimental/gateway.networking.k8s.io_gateways.yaml",
			"config/crd/experimental/gateway.networking.k8s.io_grpcroutes.yaml",
			"config/crd/experimental/gateway.networking.k8s.io_httproutes.yaml",
			"config/crd/experimental/gateway.networking.k8s.io_listenersets.yaml",
			"config/crd/experimental/gateway.networking.k8s.io_referencegrants.yaml",
			"config/crd/experimental/gateway.networking.k8s.io_tcproutes.yaml",
			"config/crd/experimental/gateway.networking.k8s.io_tlsroutes.yaml",
		},
	},
	{
		output: "argoproj.io", module: "github.com/argoproj/argo-rollouts", version: "v1.10.1",
		files: []string{"manifests/crds/rollout-crd.yaml"},
	},
}

const (
	istioModule  = "istio.io/istio"
	istioVersion = "v0.0.0-20260827124520-eed52ebb66ad"
	istioFile    = "manifests/charts/base/files/crd-all.gen.yaml"
)

// Istio's main branch has `presence` on JWT rules; the newest published module does not.
func amendSecurity(kind string, root map[string]any) {
	if kind != "RequestAuthentication" {
		return
	}
	rules := dig(root, "properties", "spec", "properties", "jwtRules", "items", "properties")
	rules["presence"] = map[string]any{"type": "string", "enum": []any{"OPTIONAL", "REQUIRED"}}
}

func main() {
	if len(os.Args) != 2 {
		log.Fatal("usage: schemas OUTPUT-FOLDER")
	}
	folder := os.Args[1]
	for _, s := range sources {
		t := newTable()
		t.Origin = s.module + "@" + s.version
		if err := readCRDs(t, s); err != nil {
			log.Fatalf("%s: %v", s.output, err)
		}
		write(t, folder, s.output)
	}
	t := newTable()
	t.Origin, t.NullsIgnored = "k8s.io/api@"+apiVersion(), true
	addBuiltins(t)
	write(t, folder, "kubernetes")
	t = newTable()
	t.Origin, t.NullsIgnored = calicoOrigin, true
	addCalico(t)
	write(t, folder, "projectcalico.org")
}

func write(t *table, folder, name string) {
	path := filepath.Join(folder, name+".json")
	if err := os.WriteFile(path, t.bytes(), 0o644); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s: %d kinds, %d nodes, %d rules, %d bytes\n", path, len(t.Kinds), len(t.nodes), len(t.Rules), len(t.bytes()))
}

// apiVersion is the version of k8s.io/api that go.mod pins.
func apiVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		log.Fatal("built without module information")
	}
	for _, module := range info.Deps {
		if module.Path == "k8s.io/api" {
			return module.Version
		}
	}
	log.Fatal("k8s.io/api is not among the modules")
	return ""
}

func set(names ...string) map[string]bool {
	m := map[string]bool{}
	for _, n := range names {
		m[n] = true
	}
	return m
}

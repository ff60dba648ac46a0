package main

import (
	"reflect"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The fields of Calico's policies as its reference documents them, those of Calico Enterprise included, so that a field
// without a place here is one that no edition knows. Calico checks values in code; types and field names only.
const calicoOrigin = "docs.tigera.io/calico@3.30"

// anything is a part whose inside is of no interest.
type anything struct{}

func init() {
	special[reflect.TypeOf(anything{})] = node{Preserve: true}
}

type calicoMeta struct {
	metav1.TypeMeta `json:",inline"`
	Metadata        metav1.ObjectMeta `json:"metadata"`
	Status          anything          `json:"status"`
}

type calicoServiceAccounts struct {
	Names    []string `json:"names"`
	Selector string   `json:"selector"`
}

type calicoService struct {
	Name      string `json:"name"`
	Namespace string `json:"namespace"`
}

type calicoEntity struct {
	Nets              []string              `json:"nets"`
	NotNets           []string              `json:"notNets"`
	Selector          string                `json:"selector"`
	NotSelector       string                `json:"notSelector"`
	NamespaceSelector string                `json:"namespaceSelector"`
	Ports             []intstr.IntOrString  `json:"ports"`
	NotPorts          []intstr.IntOrString  `json:"notPorts"`
	ServiceAccounts   calicoServiceAccounts `json:"serviceAccounts"`
	Services          calicoService         `json:"services"`
	// Enterprise.
	Domains []string `json:"domains"`
}

type calicoRule struct {
	Action      string             `json:"action"`
	IPVersion   int                `json:"ipVersion"`
	Protocol    intstr.IntOrString `json:"protocol"`
	NotProtocol intstr.IntOrString `json:"notProtocol"`
	ICMP        anything           `json:"icmp"`
	NotICMP     anything           `json:"notICMP"`
	HTTP        anything           `json:"http"`
	Metadata    anything           `json:"metadata"`
	Source      calicoEntity       `json:"source"`
	Destination calicoEntity       `json:"destination"`
}

type calicoPolicySpec struct {
	Tier                   string       `json:"tier"`
	Order                  float64      `json:"order"`
	Selector               string       `json:"selector"`
	ServiceAccountSelector string       `json:"serviceAccountSelector"`
	Types                  []string     `json:"types"`
	Ingress                []calicoRule `json:"ingress"`
	Egress                 []calicoRule `json:"egress"`
	PerformanceHints       []string     `json:"performanceHints"`
}

type calicoGlobalPolicySpec struct {
	calicoPolicySpec  `json:",inline"`
	NamespaceSelector string `json:"namespaceSelector"`
	ApplyOnForward    bool   `json:"applyOnForward"`
	DoNotTrack        bool   `json:"doNotTrack"`
	PreDNAT           bool   `json:"preDNAT"`
}

type calicoTierSpec struct {
	Order         float64 `json:"order"`
	DefaultAction string  `json:"defaultAction"`
}

type calicoSetSpec struct {
	Nets []string `json:"nets"`
	// Enterprise.
	AllowedEgressDomains []string `json:"allowedEgressDomains"`
}

type calicoPolicy struct {
	calicoMeta `json:",inline"`
	Spec       calicoPolicySpec `json:"spec"`
}

type calicoGlobalPolicy struct {
	calicoMeta `json:",inline"`
	Spec       calicoGlobalPolicySpec `json:"spec"`
}

type calicoTier struct {
	calicoMeta `json:",inline"`
	Spec       calicoTierSpec `json:"spec"`
}

type calicoSet struct {
	calicoMeta `json:",inline"`
	Spec       calicoSetSpec `json:"spec"`
}

func addCalico(t *table) {
	r := reflector{table: t, done: map[reflect.Type]int{}}
	kinds := []struct {
		name    string
		example any
	}{
		{"NetworkPolicy", calicoPolicy{}},
		{"GlobalNetworkPolicy", calicoGlobalPolicy{}},
		{"Tier", calicoTier{}},
		{"NetworkSet", calicoSet{}},
		{"GlobalNetworkSet", calicoSet{}},
	}
	for _, k := range kinds {
		root := r.index(reflect.TypeOf(k.example))
		t.Kinds = append(t.Kinds,
			kind{"projectcalico.org", k.name, []string{"v3"}, root},
			kind{"crd.projectcalico.org", k.name, []string{"v1"}, root})
	}
}

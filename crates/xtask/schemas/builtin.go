package main

import (
	"log"
	"reflect"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/intstr"
)

type builtin struct {
	group, version string
	example        any
}

// The built-in kinds that an analysis of traffic reads. What the API server validates in code (required fields,
// names, ranges) is not in the Go types and not claimed here: types and field names only.
var builtins = []builtin{
	{"", "v1", corev1.ConfigMap{}},
	{"", "v1", corev1.Endpoints{}}, //nolint:staticcheck // still in repositories
	{"", "v1", corev1.Namespace{}},
	{"", "v1", corev1.Pod{}},
	{"", "v1", corev1.ReplicationController{}},
	{"", "v1", corev1.Service{}},
	{"", "v1", corev1.ServiceAccount{}},
	{"apps", "v1", appsv1.DaemonSet{}},
	{"apps", "v1", appsv1.Deployment{}},
	{"apps", "v1", appsv1.ReplicaSet{}},
	{"apps", "v1", appsv1.StatefulSet{}},
	{"batch", "v1", batchv1.CronJob{}},
	{"batch", "v1", batchv1.Job{}},
	{"discovery.k8s.io", "v1", discoveryv1.EndpointSlice{}},
	{"networking.k8s.io", "v1", networkingv1.NetworkPolicy{}},
}

func addBuiltins(t *table) {
	r := reflector{table: t, done: map[reflect.Type]int{}}
	for _, b := range builtins {
		typ := reflect.TypeOf(b.example)
		root := r.index(typ)
		t.Kinds = append(t.Kinds, kind{b.group, typ.Name(), []string{b.version}, root})
	}
}

// objectMeta is metadata as every kind has it. Values are typed by ObjectMeta, whatever the CRD says.
func objectMeta(t *table) int {
	r := reflector{table: t, done: map[reflect.Type]int{}, nullable: true}
	return r.index(reflect.TypeOf(metav1.ObjectMeta{}))
}

type reflector struct {
	table    *table
	done     map[reflect.Type]int
	nullable bool
}

// Types that write themselves: their Go fields say nothing about their JSON.
var special = map[reflect.Type]node{
	reflect.TypeOf(intstr.IntOrString{}):        {Type: "intOrString"},
	reflect.TypeOf(resource.Quantity{}):         {Type: "intOrString", Format: "quantity"},
	reflect.TypeOf(metav1.Time{}):               {Type: "string"},
	reflect.TypeOf(metav1.MicroTime{}):          {Type: "string"},
	reflect.TypeOf(metav1.Duration{}):           {Type: "string"},
	reflect.TypeOf(metav1.FieldsV1{}):           {Preserve: true},
	reflect.TypeOf(runtime.RawExtension{}):      {Preserve: true},
	reflect.TypeOf(metav1.ManagedFieldsEntry{}): {Preserve: true},
}

func (r *reflector) index(typ reflect.Type) int {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if i, ok := r.done[typ]; ok {
		return i
	}
	i := r.table.add(r.describe(typ))
	r.done[typ] = i
	return i
}

func (r *reflector) describe(typ reflect.Type) node {
	if n, ok := special[typ]; ok {
		n.Nullable = r.nullable
		return n
	}
	n := node{Nullable: r.nullable}
	switch typ.Kind() {
	case reflect.String:
		n.Type = "string"
	case reflect.Bool:
		n.Type = "boolean"
	case reflect.Int32:
		n.Type, n.Format = "integer", "int32"
	case reflect.Int, reflect.Int64, reflect.Uint32, reflect.Uint64:
		n.Type = "integer"
	case reflect.Float64, reflect.Float32:
		n.Type = "number"
	case reflect.Slice:
		if typ.Elem().Kind() == reflect.Uint8 {
			n.Type = "string"
			break
		}
		items := r.index(typ.Elem())
		n.Type, n.Items = "array", &items
	case reflect.Map:
		values := r.index(typ.Elem())
		n.Type, n.Additional = "object", &values
	case reflect.Struct:
		n.Type, n.Properties = "object", map[string]int{}
		r.fields(typ, n.Properties)
	default:
		log.Fatalf("no schema for %v", typ)
	}
	return n
}

func (r *reflector) fields(typ reflect.Type, into map[string]int) {
	for i := range typ.NumField() {
		field := typ.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "-" {
			continue
		}
		if name == "" && (field.Anonymous || strings.Contains(options, "inline")) {
			embedded := field.Type
			for embedded.Kind() == reflect.Pointer {
				embedded = embedded.Elem()
			}
			r.fields(embedded, into)
			continue
		}
		if name == "status" {
			into[name] = r.table.add(node{Preserve: true})
			continue
		}
		into[name] = r.index(field.Type)
	}
}

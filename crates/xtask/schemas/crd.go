package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sort"

	"k8s.io/apimachinery/pkg/util/yaml"
)

func readCRDs(t *table, s source) error {
	dir, err := moduleDir(s.module, s.version)
	if err != nil {
		return err
	}
	for _, file := range s.files {
		data, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			return err
		}
		decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
		for {
			var crd map[string]any
			if err := decoder.Decode(&crd); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				return fmt.Errorf("%s: %w", file, err)
			}
			if crd == nil {
				continue
			}
			if crd["kind"] != "CustomResourceDefinition" {
				continue
			}
			addCRD(t, s, crd)
		}
	}
	return nil
}

func moduleDir(module, version string) (string, error) {
	out, err := exec.Command("go", "mod", "download", "-json", module+"@"+version).Output()
	if err != nil {
		return "", fmt.Errorf("go mod download %s@%s: %w", module, version, err)
	}
	var answer struct{ Dir string }
	if err := json.Unmarshal(out, &answer); err != nil {
		return "", err
	}
	return answer.Dir, nil
}

func addCRD(t *table, s source, crd map[string]any) {
	spec := dig(crd, "spec")
	name := dig(spec, "names")["kind"].(string)
	if s.kinds != nil && !s.kinds[name] {
		return
	}
	// Versions with the same schema share one entry.
	byRoot := map[int]int{}
	for _, v := range spec["versions"].([]any) {
		version := v.(map[string]any)
		if version["served"] != true {
			continue
		}
		root := dig(version, "schema", "openAPIV3Schema")
		if s.amend != nil {
			s.amend(name, root)
		}
		index := t.add(objectRoot(t, root))
		if at, ok := byRoot[index]; ok {
			t.Kinds[at].Versions = append(t.Kinds[at].Versions, version["name"].(string))
			continue
		}
		byRoot[index] = len(t.Kinds)
		t.Kinds = append(t.Kinds, kind{spec["group"].(string), name, []string{version["name"].(string)}, index})
	}
}

// objectRoot is the schema of a whole object. A status is written by controllers, not by people: it is not described.
func objectRoot(t *table, root map[string]any) node {
	delete(dig(root, "properties"), "status")
	n := convert(t, root)
	str := t.add(node{Type: "string"})
	n.Properties["apiVersion"] = str
	n.Properties["kind"] = str
	n.Properties["metadata"] = objectMeta(t)
	n.Properties["status"] = t.add(node{Preserve: true})
	return n
}

func convert(t *table, s map[string]any) node {
	n := node{}
	n.Type, _ = s["type"].(string)
	if s["x-kubernetes-int-or-string"] == true {
		n.Type = "intOrString"
	}
	n.Format, _ = s["format"].(string)
	n.Pattern, _ = s["pattern"].(string)
	n.Nullable, _ = s["nullable"].(bool)
	n.Preserve, _ = s["x-kubernetes-preserve-unknown-fields"].(bool)
	n.MinLength, n.MaxLength = integer(s, "minLength"), integer(s, "maxLength")
	n.MinItems, n.MaxItems = integer(s, "minItems"), integer(s, "maxItems")
	n.MinProps, n.MaxProps = integer(s, "minProperties"), integer(s, "maxProperties")
	n.Minimum, n.Maximum = number(s, "minimum"), number(s, "maximum")
	n.Required = stringList(s["required"])
	n.Enum = stringList(s["enum"])
	if props, ok := s["properties"].(map[string]any); ok {
		n.Properties = map[string]int{}
		for _, name := range sortedKeys(props) {
			n.Properties[name] = t.add(convert(t, props[name].(map[string]any)))
		}
	}
	switch a := s["additionalProperties"].(type) {
	case map[string]any:
		i := t.add(convert(t, a))
		n.Additional = &i
	case bool:
		if a {
			i := t.add(node{Preserve: true})
			n.Additional = &i
		}
	}
	if items, ok := s["items"].(map[string]any); ok {
		i := t.add(convert(t, items))
		n.Items = &i
	}
	n.Choices = choices(s)
	if rules, ok := s["x-kubernetes-validations"].([]any); ok {
		for _, r := range rules {
			m := r.(map[string]any)
			message, _ := m["message"].(string)
			n.Rules = append(n.Rules, t.addRule(rule{m["rule"].(string), message}))
		}
	}
	return n
}

// choices reads the forms of oneOf that CRD generators write for protobuf's oneof: exactly one required property, or
// at most one when an alternative says "none of them".
func choices(s map[string]any) []choice {
	var out []choice
	if list, ok := s["oneOf"].([]any); ok {
		if c, ok := oneOf(list); ok {
			out = append(out, c)
		}
	}
	if list, ok := s["allOf"].([]any); ok {
		for _, part := range list {
			out = append(out, choices(part.(map[string]any))...)
		}
	}
	return out
}

func oneOf(list []any) (choice, bool) {
	c := choice{Min: 1, Max: 1}
	for _, alternative := range list {
		m := alternative.(map[string]any)
		if _, none := m["not"]; none {
			c.Min = 0
			continue
		}
		required := stringList(m["required"])
		if len(required) != 1 || len(m) != 1 {
			return c, false
		}
		c.Of = append(c.Of, required[0])
	}
	sort.Strings(c.Of)
	return c, len(c.Of) > 1
}

func dig(m map[string]any, path ...string) map[string]any {
	for _, p := range path {
		m = m[p].(map[string]any)
	}
	return m
}

func integer(s map[string]any, key string) *int64 {
	switch v := s[key].(type) {
	case int64:
		return &v
	case float64:
		i := int64(v)
		return &i
	}
	return nil
}

func number(s map[string]any, key string) *float64 {
	switch v := s[key].(type) {
	case int64:
		f := float64(v)
		return &f
	case float64:
		return &v
	}
	return nil
}

func stringList(v any) []string {
	var out []string
	list, _ := v.([]any)
	for _, item := range list {
		if text, ok := item.(string); ok {
			out = append(out, text)
		}
	}
	return out
}

func sortedKeys(m map[string]any) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

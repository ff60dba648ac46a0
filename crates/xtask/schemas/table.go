package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log"
)

// node is one structural schema; equal ones are stored once, so shared parts such as PodSpec cost nothing.
// Numbers in Properties, Additional and Items are indices into the table.
type node struct {
	Type       string         `json:"t,omitempty"`
	Properties map[string]int `json:"p,omitempty"`
	Required   []string       `json:"r,omitempty"`
	Additional *int           `json:"a,omitempty"`
	Items      *int           `json:"i,omitempty"`
	Preserve   bool           `json:"x,omitempty"`
	Nullable   bool           `json:"n,omitempty"`
	Enum       []string       `json:"e,omitempty"`
	Pattern    string         `json:"re,omitempty"`
	Format     string         `json:"f,omitempty"`
	MinLength  *int64         `json:"minL,omitempty"`
	MaxLength  *int64         `json:"maxL,omitempty"`
	MinItems   *int64         `json:"minI,omitempty"`
	MaxItems   *int64         `json:"maxI,omitempty"`
	MinProps   *int64         `json:"minP,omitempty"`
	MaxProps   *int64         `json:"maxP,omitempty"`
	Minimum    *float64       `json:"min,omitempty"`
	Maximum    *float64       `json:"max,omitempty"`
	Choices    []choice       `json:"one,omitempty"`
	Rules      []int          `json:"c,omitempty"`
}

// choice says how many of some properties may stand together.
type choice struct {
	Of  []string `json:"of"`
	Min int      `json:"min"`
	Max int      `json:"max"`
}

// rule is a CEL rule, verbatim: the Rust side knows it by its text.
type rule struct {
	Rule    string `json:"rule"`
	Message string `json:"message,omitempty"`
}

type kind struct {
	Group    string   `json:"group"`
	Kind     string   `json:"kind"`
	Versions []string `json:"versions"`
	Root     int      `json:"root"`
}

type table struct {
	Origin       string
	NullsIgnored bool
	Kinds        []kind
	Rules        []rule
	nodes        [][]byte
	byText       map[string]int
	ruleIndex    map[rule]int
}

func newTable() *table {
	return &table{byText: map[string]int{}, ruleIndex: map[rule]int{}}
}

func (t *table) add(n node) int {
	text, err := json.Marshal(n)
	if err != nil {
		log.Fatal(err)
	}
	if i, ok := t.byText[string(text)]; ok {
		return i
	}
	t.nodes = append(t.nodes, text)
	t.byText[string(text)] = len(t.nodes) - 1
	return len(t.nodes) - 1
}

func (t *table) addRule(r rule) int {
	if i, ok := t.ruleIndex[r]; ok {
		return i
	}
	t.Rules = append(t.Rules, r)
	t.ruleIndex[r] = len(t.Rules) - 1
	return len(t.Rules) - 1
}

// bytes writes one kind, rule or node a line, so that a diff shows what changed.
func (t *table) bytes() []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "{\"origin\":%q,\n\"nullsIgnored\":%v,\n\"kinds\":[", t.Origin, t.NullsIgnored)
	for i, k := range t.Kinds {
		line(&b, i, k)
	}
	b.WriteString("],\n\"rules\":[")
	for i, r := range t.Rules {
		line(&b, i, r)
	}
	b.WriteString("],\n\"nodes\":[")
	for i, n := range t.nodes {
		line(&b, i, json.RawMessage(n))
	}
	b.WriteString("]}\n")
	return b.Bytes()
}

func line(b *bytes.Buffer, i int, v any) {
	if i > 0 {
		b.WriteByte(',')
	}
	b.WriteByte('\n')
	e := json.NewEncoder(b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		log.Fatal(err)
	}
	b.Truncate(b.Len() - 1)
}

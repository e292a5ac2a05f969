// Check decodes what Helm prints into the types of Kubernetes, KEDA and the Prometheus operator, compose files into those
// of the Compose specification, and a dashboard into Grafana's. A field that a type does not have is an error.
//
//	helm template … | check kubernetes
//	check compose FILE…
//	check grafana FILE
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/compose-spec/compose-go/v2/cli"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	keda "github.com/kedacore/keda/v2/apis/keda/v1alpha1"
	monitoring "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// The kinds that the chart may have, each with an empty value of its type.
var kinds = map[string]func() any{
	"v1/ConfigMap":                            func() any { return &core.ConfigMap{} },
	"v1/Service":                              func() any { return &core.Service{} },
	"v1/ServiceAccount":                       func() any { return &core.ServiceAccount{} },
	"apps/v1/Deployment":                      func() any { return &apps.Deployment{} },
	"policy/v1/PodDisruptionBudget":           func() any { return &policy.PodDisruptionBudget{} },
	"networking.k8s.io/v1/NetworkPolicy":      func() any { return &networking.NetworkPolicy{} },
	"monitoring.coreos.com/v1/ServiceMonitor": func() any { return &monitoring.ServiceMonitor{} },
	"monitoring.coreos.com/v1/PrometheusRule": func() any { return &monitoring.PrometheusRule{} },
	"keda.sh/v1alpha1/ScaledObject":           func() any { return &keda.ScaledObject{} },
	"keda.sh/v1alpha1/TriggerAuthentication":  func() any { return &keda.TriggerAuthentication{} },
}

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "check:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 1 && args[0] == "kubernetes":
		return checkKubernetes(os.Stdin)
	case len(args) > 1 && args[0] == "compose":
		return checkCompose(args[1:])
	case len(args) == 2 && args[0] == "grafana":
		return checkGrafana(args[1])
	}
	return fmt.Errorf("usage: check kubernetes < FILE | check compose FILE… | check grafana FILE")
}

func checkKubernetes(in io.Reader) error {
	text, err := io.ReadAll(in)
	if err != nil {
		return err
	}
	counted := map[string]int{}
	for _, document := range strings.Split("\n"+string(text), "\n---") {
		var head struct{ APIVersion, Kind string }
		if err := yaml.Unmarshal([]byte(document), &head); err != nil {
			return fmt.Errorf("%w in:\n%s", err, document)
		}
		if head.Kind == "" {
			continue
		}
		name := head.APIVersion + "/" + head.Kind
		value, known := kinds[name]
		if !known {
			return fmt.Errorf("no type for %s", name)
		}
		if err := yaml.UnmarshalStrict([]byte(document), value()); err != nil {
			return fmt.Errorf("%s: %w in:\n%s", name, err, document)
		}
		counted[name]++
	}
	if len(counted) == 0 {
		return fmt.Errorf("no document")
	}
	fmt.Println("kubernetes:", counted)
	return nil
}

// Several files are merged, as "docker compose -f A -f B" does.
func checkCompose(files []string) error {
	options, err := cli.NewProjectOptions(files, cli.WithOsEnv, cli.WithResolvedPaths(true))
	if err != nil {
		return err
	}
	project, err := options.LoadProject(context.Background())
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(files, ", "), err)
	}
	for _, service := range project.Services {
		for _, port := range service.Ports {
			fmt.Printf("compose: %s publishes %s %s:%s\n", service.Name, port.HostIP, port.Published, fmt.Sprint(port.Target))
		}
	}
	fmt.Println("compose:", files, project.ServiceNames())
	return nil
}

func checkGrafana(file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	plugins.RegisterDefaultPlugins()
	var board dashboard.Dashboard
	for _, err := range []error{board.UnmarshalJSONStrict(text), board.Validate()} {
		// Without a problem the first is an empty list of errors, and not nil.
		if err != nil && err.Error() != "" {
			return fmt.Errorf("%s: %w", file, err)
		}
	}
	fmt.Println("grafana:", file, len(board.Panels), "panels")
	return nil
}

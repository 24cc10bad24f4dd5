// What Kubernetes itself would say, of its own code: `restricted` reads pods as JSON and prints, for each,
// why Pod Security would refuse it; `template` prints a pod list as `kubectl get -o go-template` would.
package main

import (
	"encoding/json"
	"fmt"
	"log"
	"os"
	"text/template"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

func main() {
	switch os.Args[1] {
	case "restricted":
		restricted()
	case "template":
		printed(os.Args[2])
	default:
		log.Fatalf("unknown verb %s", os.Args[1])
	}
}

// restricted judges each pod by the newest version of the profile that this module knows.
func restricted() {
	var pods []corev1.Pod
	read(&pods)
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	check(err)
	profile := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	refusals := make([][]string, len(pods))
	for i, pod := range pods {
		refusals[i] = []string{}
		for _, result := range evaluator.EvaluatePod(profile, &pod.ObjectMeta, &pod.Spec) {
			if !result.Allowed {
				refusals[i] = append(refusals[i], fmt.Sprintf("%s (%s)", result.ForbiddenReason, result.ForbiddenDetail))
			}
		}
	}
	check(json.NewEncoder(os.Stdout).Encode(refusals))
}

func printed(text string) {
	var list any
	read(&list)
	parsed, err := template.New("output").Parse(text)
	check(err)
	check(parsed.Execute(os.Stdout, list))
}

func read(value any) {
	check(json.NewDecoder(os.Stdin).Decode(value))
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

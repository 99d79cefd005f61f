// Reads objects as JSON and prints for each what is wrong by the schema of its CustomResourceDefinition, or an empty text.
import { readFileSync } from "node:fs";
import { EnvoyFilter } from "@kubernetes-models/istio/networking.istio.io/v1alpha3/EnvoyFilter";
import { Middleware } from "@kubernetes-models/traefik/traefik.io/v1alpha1/Middleware";

const kinds = { EnvoyFilter, Middleware };
const problem = (object) => {
  try {
    new kinds[object.kind](object).validate();
    return "";
  } catch (error) {
    return error.message;
  }
};
console.log(JSON.stringify(JSON.parse(readFileSync(0, "utf8")).map(problem)));

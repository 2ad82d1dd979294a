// Networks as ONNX files, run by ONNX Runtime in WebAssembly.

/** @typedef {Record<string, [data: Float32Array, shape: number[]]>} Inputs */
/** @typedef {{data: Float32Array, shape: readonly number[]}} Output */

/** Runs the networks of one ONNX Runtime.
 * @typedef {object} Runtime
 * @property {{wasm: Record<string, unknown>}} env
 * @property {{create(model: Uint8Array, options?: object): Promise<any>}} InferenceSession
 * @property {new (type: "float32", data: Float32Array, shape: number[]) => object} Tensor
 */

export class Network {
  #runtime;
  #session;

  /** @param {Runtime} runtime @param {any} session */
  constructor(runtime, session) {
    this.#runtime = runtime;
    this.#session = session;
  }

  /** @param {Runtime} runtime @param {Uint8Array} model */
  static async open(runtime, model) {
    const options = { executionProviders: ["wasm"], logSeverityLevel: 3 };
    return new Network(runtime, await runtime.InferenceSession.create(model, options));
  }

  /** The outputs by their names.
   * @param {Inputs} inputs @returns {Promise<Record<string, Output>>} */
  async run(inputs) {
    const feeds = Object.entries(inputs).map(([name, [data, shape]]) =>
      [name, new this.#runtime.Tensor("float32", data, shape)]);
    const outputs = await this.#session.run(Object.fromEntries(feeds));
    return Object.fromEntries(Object.entries(outputs).map(([name, { data, dims }]) =>
      [name, { data, shape: dims }]));
  }
}

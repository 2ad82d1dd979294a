// Square matrices, row by row in one array.

/** The lower triangle L of a matrix L Lᵀ that is symmetric and positive definite.
 * @param {ArrayLike<number>} matrix @param {number} size */
export function cholesky(matrix, size) {
  const factor = new Float64Array(size * size);
  for (let row = 0; row < size; row++) {
    for (let column = 0; column <= row; column++) {
      let rest = matrix[row * size + column];
      for (let k = 0; k < column; k++) rest -= factor[row * size + k] * factor[column * size + k];
      factor[row * size + column] = row === column
        ? Math.sqrt(rest)
        : rest / factor[column * size + column];
    }
  }
  return factor;
}

/** x of L x = b.
 * @param {Float64Array} factor L, a lower triangle @param {ArrayLike<number>} b */
export function solveLower(factor, b) {
  const size = b.length;
  const x = Float64Array.from(b);
  for (let row = 0; row < size; row++) {
    for (let k = 0; k < row; k++) x[row] -= factor[row * size + k] * x[k];
    x[row] /= factor[row * size + row];
  }
  return x;
}

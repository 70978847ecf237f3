variable "size" {
  type = number
}

resource "terraform_data" "it" {
  input = var.size
}

resource "terraform_data" "other" {
  input = "kept"
}

output "it" {
  value = terraform_data.it.output
}
